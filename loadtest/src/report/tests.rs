use super::*;
use crate::results::{Phase, Second, Verdict, sample};

fn page(result: RunResult) -> String {
    html(&[("result".into(), result)])
}

/// Counts elements and checks that each that is opened is closed in order.
fn elements(page: &str) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut count = 0;
    for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else if !tag.ends_with('/') && !tag.starts_with('!') && name != "meta" {
            open.push(name);
        }
        count += 1;
    }
    assert_eq!(open, [] as [&str; 0]);
    count
}

#[test]
fn a_whole_result_is_shown_the_verdict_first() {
    let page = page(sample::run(1_000));
    assert!(elements(&page) > 500);
    let mut rest = page.as_str();
    for part in [
        "<h1>fan-out</h1>",
        "! threshold missed",
        "ack_p50_ms is 2.5, at most 0.1 was demanded",
        "<h2>Thresholds</h2>",
        "at most 0.100",
        "✗ missed",
        "✓ met",
        "<h2>Correctness</h2>",
        "✗ violated",
        "– not checked: a remote server",
        "&lt;room 3&gt; member 7",
        "<h2>Latency</h2>",
        "Latency by percentile",
        "99.9 %",
        "<h2>Over time</h2>",
        "Resident memory of the server",
        "<h2>Growth</h2>",
        "By rooms",
        "<h2>Against the floor</h2>",
        "2.00×",
        "<h2>Every run</h2>",
        "<h2>Phases</h2>",
        "<h2>How it was run</h2>",
        "Example CPU &lt;3 GHz&gt;",
        "members = 10",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part} is missing or too early"));
        rest = after;
    }
}

#[test]
fn it_needs_nothing_from_elsewhere() {
    let page = page(sample::run(1_000));
    for foreign in ["http://", "https://", "<script", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn every_text_is_escaped() {
    let evil = "<script>alert('x')</script>\"&\u{1}";
    let text = serde_json::to_value(sample::run(1_000)).unwrap();
    let page = page(serde_json::from_value(poisoned(text, evil)).unwrap());
    elements(&page);
    assert!(!page.contains("<script") && !page.contains('\u{1}'));
    assert!(page.matches("&lt;script&gt;").count() > 20);
    assert!(page.contains("alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;\u{fffd}"));
}

/// The same JSON with the text after every string that may say anything.
fn poisoned(value: serde_json::Value, evil: &str) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) if ["own", "at_most", "at_least"].contains(&text.as_str()) || text.starts_with("HIST") => Value::String(text),
        Value::String(text) => Value::String(text + evil),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| poisoned(item, evil)).collect()),
        Value::Object(fields) => {
            let poison = |(name, value): (String, Value)| {
                if name.ends_with("_ms") && value.is_number() { (name, value) } else { (name, poisoned(value, evil)) }
            };
            let mut fields: serde_json::Map<String, Value> = fields.into_iter().map(poison).collect();
            if let Some(figures) = fields.get_mut("figures").and_then(Value::as_object_mut) {
                figures.insert(evil.to_owned(), 1.into());
            }
            Value::Object(fields)
        }
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

#[test]
fn an_empty_result_and_an_odd_one_can_be_shown() {
    elements(&page(RunResult::default()));
    let odd = RunResult {
        phases: vec![Phase { seconds: 0.0, ..Phase::default() }],
        series: vec![Second { deliveries_per_s: f64::NAN, ack_p99_ms: Some(-1.0), ..Second::default() }],
        ..RunResult::default()
    };
    let page = page(odd);
    elements(&page);
    assert!(!page.contains("NaN") && !page.contains("inf "), "{page}");
}

#[test]
fn a_long_run_is_thinned() {
    let mut long = sample::run(1_000);
    let second = long.series[0].clone();
    long.series = (0..20_000_u32).map(|n| Second { at_s: f64::from(n), ..second.clone() }).collect();
    let page = page(long);
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn several_results_begin_with_an_overview() {
    let mut good = sample::run(500);
    good.outcome.exit_code = Verdict::Good;
    let page = html(&[("before".into(), sample::run(1_000)), ("after".into(), good)]);
    elements(&page);
    assert!(page.contains("<h1>2 load tests</h1>") && page.contains("<a href=\"#r1\">after</a>") && page.contains("id=\"r1\""));
}

#[test]
fn the_subcommand_reads_results_and_writes_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    sample::run(1_000).write(&path("a.json")).unwrap();
    run(&Options { results: vec![path("a.json")], output: path("a.html") }).unwrap();
    assert!(std::fs::read_to_string(path("a.html")).unwrap().contains("fan-out"));
    let error = run(&Options { results: vec![path("b.json")], output: path("b.html") }).unwrap_err();
    assert!(error.to_string().starts_with("cannot read") && !path("b.html").exists());
}
