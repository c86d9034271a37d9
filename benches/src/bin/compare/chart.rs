//! Draws lines on logarithmic axes, each with its name at its end.

use std::io;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Panels beside and below each other.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) panels: Vec<Panel>,
}

#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) title: &'static str,
    /// Powers of it are labelled.
    pub(crate) base: f64,
    pub(crate) format: fn(f64) -> String,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) color: RGBColor,
    pub(crate) width: u32,
    /// Both coordinates positive, from left to right.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The figure as SVG. Panels where there is nothing to connect are left out; no panel, no figure.
pub(crate) fn svg(figure: &Figure) -> io::Result<Option<String>> {
    let panels: Vec<(&Panel, Bounds)> = figure
        .panels
        .iter()
        .filter_map(|panel| Some((panel, Bounds::of(&panel.lines)?)))
        .collect();
    if panels.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    let columns = panels.len().min(COLUMNS_MAX);
    let rows = panels.len().div_ceil(columns);
    let size = (PANEL_WIDTH * columns as u32, PANEL_HEIGHT * rows as u32);
    draw(
        &SVGBackend::with_string(&mut text, size).into_drawing_area(),
        figure,
        &panels,
    )
    .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(Some(text))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(root: &Area<'_>, figure: &Figure, panels: &[(&Panel, Bounds)]) -> Drawn {
    root.fill(&WHITE)?;
    let below = root.titled(&figure.title, (FONT, 20))?;
    let columns = panels.len().min(COLUMNS_MAX);
    let areas = below.split_evenly((panels.len().div_ceil(columns), columns));
    for (area, (panel, bounds)) in areas.iter().zip(panels) {
        draw_panel(root, area, panel, bounds)?;
    }
    root.present()?;
    Ok(())
}

/// `root` for the names, whose places are told in its coordinates.
fn draw_panel(root: &Area<'_>, area: &Area<'_>, panel: &Panel, bounds: &Bounds) -> Drawn {
    let [(x_low, x_high), (y_low, y_high)] = bounds.0;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 15))
        .margin(10)
        .margin_right(NAMES_WIDTH)
        .set_label_area_size(LabelAreaPosition::Left, 62)
        .set_label_area_size(LabelAreaPosition::Bottom, 44)
        .build_cartesian_2d(
            (x_low..x_high).log_scale().base(panel.x.base),
            (y_low..y_high).log_scale().base(panel.y.base),
        )?;
    chart
        .configure_mesh()
        .x_desc(panel.x.title)
        .y_desc(panel.y.title)
        .x_label_formatter(&|x| (panel.x.format)(*x))
        .y_label_formatter(&|y| (panel.y.format)(*y))
        .x_labels(8)
        .y_labels(20)
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .bold_line_style(BLACK.mix(0.18))
        .light_line_style(BLACK.mix(0.06))
        .draw()?;
    for line in &panel.lines {
        let style = line.color.stroke_width(line.width);
        let points = line.points.iter().copied();
        chart.draw_series(LineSeries::new(points, style.filled()).point_size(line.width + 1))?;
    }
    let mut ends: Vec<End<'_>> = Vec::new();
    for line in &panel.lines {
        if let Some(last) = line.points.last() {
            let (x, y) = chart.backend_coord(last);
            ends.push(End { line, x, y });
        }
    }
    ends.sort_by_key(|end| end.y);
    let (_, rows) = chart.plotting_area().get_pixel_range();
    let wanted: Vec<i32> = ends.iter().map(|end| end.y).collect();
    let (right, _) = chart.plotting_area().get_pixel_range();
    for (end, y) in ends.iter().zip(spread(&wanted, rows.start, rows.end)) {
        let from = (right.end + 4, y);
        let thin = end.line.color.mix(0.6).stroke_width(1);
        root.draw(&PathElement::new(vec![(end.x + 3, end.y), from], thin))?;
        let style = (FONT, 13).into_font().color(&end.line.color);
        root.draw(&Text::new(end.line.name, (right.end + 7, y - 6), style))?;
    }
    Ok(())
}

/// Where a line ends, in pixels.
struct End<'a> {
    line: &'a Line,
    x: i32,
    y: i32,
}

/// Places near the wanted ones, which are in order, that are at least a line of text apart.
fn spread(wanted: &[i32], top: i32, bottom: i32) -> Vec<i32> {
    let mut places: Vec<i32> = Vec::with_capacity(wanted.len());
    for &place in wanted {
        let free = places.last().map_or(top, |last| last + LINE_HEIGHT);
        places.push(place.max(free));
    }
    let mut free = bottom;
    for place in places.iter_mut().rev() {
        *place = (*place).min(free);
        free = *place - LINE_HEIGHT;
    }
    places
}

/// The ends of both axes.
struct Bounds([(f64, f64); 2]);

impl Bounds {
    /// Nothing if no line connects two points.
    fn of(lines: &[Line]) -> Option<Self> {
        if lines.iter().all(|line| line.points.len() < 2) {
            return None;
        }
        let points = || lines.iter().flat_map(|line| line.points.iter().copied());
        let low = |figures: &mut dyn Iterator<Item = f64>| figures.fold(f64::INFINITY, f64::min);
        let high = |figures: &mut dyn Iterator<Item = f64>| figures.fold(0.0, f64::max);
        let x = (
            low(&mut points().map(|it| it.0)),
            high(&mut points().map(|it| it.0)),
        );
        let y = (
            low(&mut points().map(|it| it.1)),
            high(&mut points().map(|it| it.1)),
        );
        Some(Self([
            x,
            (round(y.0, f64::floor), round(y.1 * 1.001, f64::ceil)),
        ]))
    }
}

/// The next number with one digit that `to` rounds to.
fn round(figure: f64, to: fn(f64) -> f64) -> f64 {
    let decade = 10_f64.powf(figure.log10().floor());
    to(figure / decade) * decade
}

const FONT: &str = "sans-serif";
const PANEL_WIDTH: u32 = 680;
const PANEL_HEIGHT: u32 = 460;
const COLUMNS_MAX: usize = 3;
/// At the right of a panel.
const NAMES_WIDTH: u32 = 160;
const LINE_HEIGHT: i32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(lines: &[(&'static str, &[(f64, f64)])]) -> Panel {
        let axis = || Axis {
            title: "an axis",
            base: 10.0,
            format: |figure| format!("{figure}"),
        };
        let line = |&(name, points): &(&'static str, &[(f64, f64)])| Line {
            name,
            color: BLACK,
            width: 2,
            points: points.to_vec(),
        };
        Panel {
            title: "a panel".to_owned(),
            x: axis(),
            y: axis(),
            lines: lines.iter().map(line).collect(),
        }
    }

    fn draw(panels: Vec<Panel>) -> Option<String> {
        let title = "a figure".to_owned();
        svg(&Figure { title, panels }).unwrap()
    }

    #[test]
    fn names_and_titles_are_drawn() {
        let points = &[(1.0, 30.0), (1000.0, 50.0)][..];
        let text = draw(vec![panel(&[("one", points), ("two", points)])]).unwrap();
        for name in ["a figure", "a panel", "an axis", "one", "two"] {
            assert!(text.contains(name), "{name}");
        }
    }

    #[test]
    fn nothing_to_connect_is_no_figure() {
        assert_eq!(draw(Vec::new()), None);
        assert_eq!(draw(vec![panel(&[("one", &[(1.0, 1.0)])])]), None);
    }

    #[test]
    fn names_do_not_lie_on_each_other() {
        for (wanted, expected) in [
            (&[10, 100, 200][..], &[10, 100, 200][..]),
            (&[10, 12, 14], &[10, 25, 40]),
            (&[290, 295, 300], &[270, 285, 300]),
            (&[0, 300], &[10, 300]),
        ] {
            assert_eq!(spread(wanted, 10, 300), expected);
        }
    }

    #[test]
    fn bounds_have_one_digit() {
        assert_eq!(round(347.0, f64::floor), 300.0);
        assert_eq!(round(347.0, f64::ceil), 400.0);
        assert_eq!(round(0.2, f64::floor), 0.2);
    }
}
