//! The harness as its users see it.

use sqlx::{Connection as _, PgConnection};

use super::{Backend, TestDatabase, for_each_backend};

for_each_backend!(a_database_is_there_and_of_its_kind);

async fn a_database_is_there_and_of_its_kind(database: TestDatabase) {
    assert!(database.url().starts_with(&database.backend().to_string()), "{}", database.url());
    if database.backend() == Backend::Postgres {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.unwrap();
        assert!(database.url().ends_with(&name));
    }
}
