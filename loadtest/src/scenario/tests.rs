use super::change::rate_of;
use super::*;

#[test]
fn every_builtin_scenario_can_be_read_and_is_called_as_it_is() {
    for (name, _) in BUILTIN {
        let scenario = builtin(name).unwrap_or_else(|error| panic!("{error:#}"));
        assert_eq!(scenario.name, name);
        let again = Scenario::parse(&toml::to_string(&scenario).unwrap()).unwrap();
        assert_eq!(
            toml::to_string(&again).unwrap(),
            toml::to_string(&scenario).unwrap(),
            "{name}: what is kept in the result runs the same"
        );
    }
}

#[test]
fn flags_change_size_and_rate() {
    let mut scenario = builtin("fan-out").unwrap();
    let changes =
        Changes { rooms: Some(7), members: Some(30), per_second: Some(70.0), seconds: Some(1.5), payload: Some(9), ..Changes::default() };
    changes.apply(&mut scenario).unwrap();
    assert_eq!((scenario.clients(), scenario.personas[1].per_room), (210, 29));
    assert!((rate_of(&scenario) - 70.0).abs() < 1e-6);
    assert_eq!(scenario.phases[1].length, Duration::from_millis(1_500));
    assert_eq!(scenario.personas[0].acts[0].payload, 9);
    assert!(Changes { members: Some(0), ..Changes::default() }.apply(&mut scenario).is_err());
}

#[test]
fn what_cannot_be_run_is_refused() {
    let good = include_str!("../../scenarios/fan-out.toml");
    for (from, to, says) in [
        ("measured = true", "", "measured"),
        ("per_second = 1000", "per_second = 1000, every = \"1s\"", "either"),
        ("per_room = 9", "per_room = 9\nrooms = \"elsewhere\"", "elsewhere"),
        ("per_room = 9", "per_room = 9\narrives = \"never\"", "never"),
        ("at_most = 50", "", "at_most"),
        ("metric = \"delivery_p99_ms\"", "metric = \"delivery_p98_ms\"", "delivery_p98_ms"),
        ("per_room = 9", "per_room = 9\narrives_over = \"1s\"", "arrives_over"),
        ("chat = 1", "chat = 1, claim = 1", "Claim"),
        ("count = 100", "count = 100\nkind = \"pool\"", "Chat"),
        ("measured = true", "measured = true\nremoves = \"author\"", "without `churn`"),
        ("length = \"3s\"", "length = \"3\"", "unit"),
        ("count = 100", "count = 100\nsurprise = 1", "surprise"),
    ] {
        let error = Scenario::parse(&good.replacen(from, to, 1)).unwrap_err();
        assert!(format!("{error:#}").contains(says), "{to}: {error:#}");
    }
}

#[test]
fn one_of_several_measured_phases_can_be_run_alone() {
    let mut scenario = builtin("durable").unwrap();
    let phase = |name: &str| Changes { phase: Some(name.to_owned()), ..Changes::default() };
    phase("1000-per-second").apply(&mut scenario).unwrap();
    assert_eq!(scenario.phases.iter().map(|phase| phase.name.as_str()).collect::<Vec<_>>(), ["1000-per-second"]);
    assert!(phase("3000-per-second").apply(&mut scenario).is_err());
}

#[test]
fn the_generator_may_be_late_by_a_quarter_of_what_is_demanded() {
    let with = |metric: &str, at_most, lag_p99_ms| {
        let mut scenario = builtin("fan-out").unwrap();
        scenario.thresholds[0] = Threshold { metric: metric.to_owned(), at_most: Some(at_most), at_least: None };
        scenario.limits.lag_p99_ms = lag_p99_ms;
        scenario.lag_bound_ms()
    };
    assert_eq!(with("delivery_p99_ms", 8.0, None), 2.0);
    assert_eq!(with("delivery_p99_ms", 800.0, None), 20.0);
    assert_eq!(with("server_resident_peak_bytes", 1.0, None), 20.0, "no latency");
    assert_eq!(with("delivery_p99_ms", 8.0, Some(500.0)), 500.0, "as the scenario says");
}

#[test]
fn fewer_members_keep_their_proportions() {
    let mut scenario = builtin("slow-readers").unwrap();
    Changes { members: Some(40), ..Changes::default() }.apply(&mut scenario).unwrap();
    let sizes: Vec<u32> = scenario.personas.iter().map(|persona| persona.per_room).collect();
    assert_eq!(sizes.iter().sum::<u32>(), 40);
    assert!(sizes[0] >= 1 && sizes[1] > 30 && sizes[2] >= 1, "{sizes:?}");
    assert!(!scenario.personas[2].reads);
    Changes { all_read: true, ..Changes::default() }.apply(&mut scenario).unwrap();
    assert!(scenario.personas[2].reads);
    assert!(Changes { members: Some(2), ..Changes::default() }.apply(&mut scenario).is_err(), "fewer than there are personas");
}

#[test]
fn a_storm_may_be_of_one_persona_and_the_others_stay() {
    let scenario = builtin("reconnect-storm").unwrap();
    let of: Vec<_> = scenario.personas.iter().map(|persona| (persona.name.as_str(), scenario.stays(persona))).collect();
    assert_eq!(of, [("stayer", true), ("traveller", false)]);
    assert_eq!(scenario.clients(), 5_000);
    let text = include_str!("../../scenarios/reconnect-storm.toml");
    let error = Scenario::parse(&text.replace("persona = \"traveller\"", "persona = \"nobody\"")).unwrap_err();
    assert!(format!("{error:#}").contains("`nobody`"), "{error:#}");
    let all = Scenario::parse(&text.replace("persona = \"traveller\", ", "")).unwrap();
    assert!(!all.personas.iter().any(|persona| all.stays(persona)), "everybody may drop");
    let calm = builtin("fan-out").unwrap();
    assert!(!calm.personas.iter().any(|persona| calm.stays(persona)), "nobody stays where nobody drops");
}
