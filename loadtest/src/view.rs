//! What is shown while a run goes on, once a second.
//!
//! On a terminal a few lines that are drawn anew, elsewhere a line now and then; both on standard error, so that standard output holds results
//! only. A thread of its own writes: a terminal that stands still loses samples, and never holds the generator up.

mod lines;

use crate::results::Second;
use lines::Lines;
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// News that may wait for the terminal.
const WAITING_MAX: usize = 4;
/// Without a terminal, every second gets a line up to here.
const EACH_UNTIL_S: f64 = 10.0;
/// Afterwards, one in so many seconds does.
const THEN_EVERY_S: f64 = 10.0;

/// What there is to show.
enum News {
    /// What is being done before or after the load.
    Step(String),
    Second(Second),
}

/// The view of one run; ends when it is dropped.
#[derive(Debug)]
pub struct View {
    news: Option<SyncSender<News>>,
    writer: Option<JoinHandle<()>>,
}

impl View {
    /// Begins to show a run of this scenario, which takes about so long.
    #[must_use]
    pub fn start(scenario: &str, seconds: f64) -> Self {
        let out = std::io::stderr();
        let live = out.is_terminal();
        Self::on(out, live, scenario, seconds)
    }

    /// Nothing is shown.
    #[must_use]
    pub const fn none() -> Self {
        Self { news: None, writer: None }
    }

    fn on(out: impl Write + Send + 'static, live: bool, scenario: &str, seconds: f64) -> Self {
        let (news, incoming) = sync_channel(WAITING_MAX);
        let lines = Lines::new(scenario, seconds);
        let writer = std::thread::spawn(move || {
            // A terminal that is gone ends the view, not the run.
            let _ = if live { draw(out, lines, &incoming) } else { tell(out, &incoming) };
        });
        Self { news: Some(news), writer: Some(writer) }
    }

    /// Shows a sample, unless the terminal is behind.
    pub fn show(&self, second: &Second) {
        self.send(|| News::Second(second.clone()));
    }

    /// Shows what is being done before or after the load.
    pub fn step(&self, what: &str) {
        self.send(|| News::Step(what.to_owned()));
    }

    fn send(&self, news: impl FnOnce() -> News) {
        if let Some(channel) = &self.news {
            // Full, or nobody looks any more: either way this is not shown.
            let _ = channel.try_send(news());
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // Without a sender the writer comes to its end.
        drop(self.news.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// Draws anew over what was drawn before.
fn draw(mut out: impl Write, mut lines: Lines, news: &Receiver<News>) -> std::io::Result<()> {
    let mut drawn = 0;
    for news in news {
        let text = match news {
            News::Step(what) => lines.step(&what),
            News::Second(second) => lines.after(second),
        };
        // Up to the first line, and clear from there; what is too long is cut off by the terminal rather than wrapped.
        let up = if drawn == 0 { String::new() } else { format!("\x1b[{drawn}A") };
        drawn = text.lines().count();
        write!(out, "{up}\r\x1b[J\x1b[?7l{text}\x1b[?7h")?;
        out.flush()?;
    }
    Ok(())
}

/// Writes a line for the first seconds, then for some, and whenever a phase begins.
fn tell(mut out: impl Write, news: &Receiver<News>) -> std::io::Result<()> {
    let (mut phase, mut told_s) = (String::new(), f64::NEG_INFINITY);
    for news in news {
        let second = match news {
            News::Step(what) => {
                writeln!(out, "{what}")?;
                continue;
            }
            News::Second(second) => second,
        };
        let every = if second.at_s <= EACH_UNTIL_S + 0.5 { 0.0 } else { THEN_EVERY_S - 0.5 };
        if second.phase != phase || second.at_s - told_s >= every {
            writeln!(out, "{}", lines::plain(&second))?;
            (phase, told_s) = (second.phase, second.at_s);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;
    use std::sync::{Arc, Mutex, mpsc};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn written(live: bool, seconds: impl Iterator<Item = Second>) -> String {
        let (news, incoming) = sync_channel(1_000);
        news.send(News::Step("connecting".into())).unwrap();
        seconds.for_each(|second| news.send(News::Second(second)).unwrap());
        news.send(News::Step("checking".into())).unwrap();
        drop(news);
        let mut kept = Kept::default();
        if live { draw(&mut kept, Lines::new("fan-out", 12.0), &incoming) } else { tell(&mut kept, &incoming) }.unwrap();
        kept.text()
    }

    #[test]
    fn a_terminal_is_drawn_anew() {
        let text = written(true, sample::run(1_000).series.into_iter());
        let frames: Vec<&str> = text.split("\x1b[J").collect();
        assert_eq!((frames.len(), frames[0], frames[1]), (15, "\r", "\x1b[?7lfan-out · connecting\n\x1b[?7h\x1b[1A\r"));
        for frame in &frames[2..14] {
            let height = frame.matches('\n').count();
            assert!(frame.ends_with(&format!("\x1b[?7h\x1b[{height}A\r")), "{frame:?}");
        }
        assert!(frames[13].contains("fan-out · steady · 12 s of 12 s"));
        assert!(frames[14].contains("fan-out · checking\n  per s") && frames[14].ends_with("\n\x1b[?7h"), "the figures stay");
    }

    #[test]
    fn without_a_terminal_lines_become_rarer() {
        let second = sample::run(1_000).series[0].clone();
        let phase = |n: u32| if n < 25 { "join" } else { "steady" }.to_owned();
        let text = written(false, (1..=60).map(|n| Second { at_s: f64::from(n), phase: phase(n), ..second.clone() }));
        assert!(text.starts_with("connecting\n") && text.ends_with("checking\n"));
        let times: Vec<&str> =
            text.lines().filter(|line| line.starts_with(' ')).map(|line| line.trim_start().split(' ').next().unwrap()).collect();
        assert_eq!(times, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "20", "25", "35", "45", "55"]);
        assert!(!text.contains('\x1b'));
    }

    /// Takes nothing until it is let go.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_that_stands_still_holds_nobody_up() {
        let (release, stuck) = mpsc::channel();
        let view = View::on(Stuck(stuck), true, "fan-out", 60.0);
        let second = sample::run(1_000).series[0].clone();
        // Comes to its end although nothing is taken.
        (0..10_000).for_each(|_| view.show(&second));
        view.step("checking");
        drop(release);
        drop(view);
        View::none().show(&second);
    }

    #[test]
    fn what_was_shown_is_there_when_the_view_has_ended() {
        let kept = Kept::default();
        let view = View::on(kept.clone(), false, "fan-out", 60.0);
        view.show(&sample::run(1_000).series[0]);
        drop(view);
        assert_eq!(kept.text().lines().count(), 1);
    }
}
