-- What a profile tells of a person beyond names.

-- Address of a picture (https).
ALTER TABLE users ADD COLUMN avatar_url TEXT;
-- The group or college that the user belongs to, in the user's own words.
ALTER TABLE users ADD COLUMN group_name TEXT;
-- A JSON object: addresses (https) by the name of the site.
ALTER TABLE users ADD COLUMN social_links TEXT NOT NULL DEFAULT '{}';
-- A JSON object: name, phone and relation.
ALTER TABLE users ADD COLUMN emergency_contact TEXT;
