//! Line plots as SVG. Colours come from the page's style, so that they follow light and dark.

use super::markup::{Markup, escaped};
use super::scale::{Kind, Scale};
use crate::show::figure;
use std::fmt::Write;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 40.0;
/// Lines get a mark for each point up to so many points.
const MARKED_MAX: usize = 150;
/// Colours that the style has.
pub(super) const COLOURS: usize = 8;

/// A plot of some lines.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
    pub(super) x: Scale,
    pub(super) y: Kind,
    pub(super) lines: Vec<Line>,
    /// Places on the x axis where something begins, with its name.
    pub(super) begins: Vec<(f64, String)>,
    /// Marks on the lines that show their value.
    pub(super) dots: bool,
}

/// A line; where a value is absent, it is interrupted.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Plot {
    /// Writes the plot; nothing when there is nothing to plot.
    pub(super) fn draw(&self, out: &mut Markup) {
        let values = || self.lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value);
        if values().next().is_none() {
            return;
        }
        let y = Scale::over(self.y, values());
        out.raw("<figure>");
        out.element("figcaption", "", &self.title);
        if self.lines.len() > 1 {
            out.raw("<ul class=\"legend\">");
            for (index, line) in self.lines.iter().enumerate() {
                out.element("li", &format!("l{}", index % COLOURS), &line.name);
            }
            out.raw("</ul>");
        }
        out.raw(&format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escaped(&self.title)));
        out.raw(&self.axes(&y));
        for (index, line) in self.lines.iter().enumerate() {
            out.raw(&self.line(line, index % COLOURS, &y));
        }
        out.raw(&self.begins());
        out.raw("</svg></figure>\n");
    }

    fn axes(&self, y: &Scale) -> String {
        let mut svg = String::new();
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, label) in y.ticks() {
            let Some(at) = y.at(value).map(down) else { continue };
            // Writing to a string cannot fail; so below.
            let _ = write!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>");
            let _ = write!(svg, "<text class=\"y\" x=\"{}\" y=\"{:.1}\">{label}</text>", LEFT - 6.0, at + 4.0);
        }
        let mut free_from = 0.0;
        for (value, label) in self.x.ticks() {
            let Some(at) = self.x.at(value).map(across) else { continue };
            let _ = write!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>");
            // Labels that would run into each other are left out.
            let half = width(&label) / 2.0;
            if at - half >= free_from {
                let shifted = at.min(WIDTH - half);
                let _ = write!(svg, "<text class=\"x\" x=\"{shifted:.1}\" y=\"{}\">{label}</text>", bottom + 16.0);
                free_from = at + half + 4.0;
            }
        }
        let _ = write!(svg, "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>");
        let _ = write!(svg, "<text class=\"unit\" x=\"2\" y=\"12\">{}</text>", escaped(&self.y_label));
        let _ = write!(svg, "<text class=\"unit end\" x=\"{right}\" y=\"{}\">{}</text>", HEIGHT - 6.0, escaped(&self.x_label));
        svg
    }

    /// Where phases begin; above the lines, so that the names can be read.
    fn begins(&self) -> String {
        let mut svg = String::new();
        // Names that would run into each other stand on rows of their own.
        let mut rows_free_from = [0.0; 3];
        for (value, name) in &self.begins {
            let Some(at) = self.x.at(*value).map(across) else { continue };
            let _ = write!(svg, "<path class=\"begin\" d=\"M{at:.1} {TOP}V{}\"/>", HEIGHT - BOTTOM);
            if let Some((row, free_from)) = (0_u8..).zip(&mut rows_free_from).find(|(_, free_from)| at >= **free_from) {
                let (left, down) = (at + 4.0, TOP + 12.0 + 14.0 * f64::from(row));
                let _ = write!(svg, "<text class=\"phase\" x=\"{left:.1}\" y=\"{down}\">{}</text>", escaped(name));
                *free_from = at + width(name) + 8.0;
            }
        }
        svg
    }

    fn line(&self, line: &Line, colour: usize, y: &Scale) -> String {
        let place = |(x, value): &(f64, Option<f64>)| Some((across(self.x.at(*x)?), down(y.at((*value)?)?)));
        let (mut path, mut marks, mut pen_down) = (String::new(), String::new(), false);
        for point in &line.points {
            let Some((across, down)) = place(point) else {
                pen_down = false;
                continue;
            };
            let _ = write!(path, "{}{across:.1} {down:.1}", if pen_down { 'L' } else { 'M' });
            pen_down = true;
            if line.points.len() <= MARKED_MAX {
                let value = figure(point.1.unwrap_or_default());
                let tip = format!("{}: {value} {} at {} {}", line.name, self.y_label, figure(point.0), self.x_label);
                let seen = if self.dots { "dot" } else { "spot" };
                let _ = write!(
                    marks,
                    "<circle class=\"{seen} c{colour}\" cx=\"{across:.1}\" cy=\"{down:.1}\" r=\"3.5\"><title>{}</title></circle>",
                    escaped(&tip)
                );
            }
        }
        // A value between two gaps has no line of its own.
        format!("<path class=\"line c{colour}\" d=\"{path}\"/>{marks}")
    }
}

fn across(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn down(share: f64) -> f64 {
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

/// About how wide a label is.
fn width(label: &str) -> f64 {
    7.0 * f64::from(u32::try_from(label.chars().count()).unwrap_or(u32::MAX))
}
