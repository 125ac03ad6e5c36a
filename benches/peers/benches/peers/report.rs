//! What is printed: the table of ratios, and the bars that xent is held to.

use crate::batch::{Shape, name};
use crate::ops::{BESIDE_EXP, COPY, IN_CACHE, LONG_ROWS, OPS, ROW, SHORT_ROWS};
use std::collections::BTreeMap;
use xent::Backend;

/// Nanoseconds of a call of an operation by a contender.
pub struct Times(BTreeMap<(&'static str, &'static str, Shape), f64>);

impl Times {
    pub fn new(times: impl Iterator<Item = ((&'static str, &'static str, Shape), f64)>) -> Self {
        Self(times.collect())
    }

    fn of(&self, op: &'static str, who: &'static str, shape: Shape) -> Option<f64> {
        let time = *self.0.get(&(op, who, shape))?;
        let copy = if op.ends_with("in place") { self.of(COPY.name, "copy", shape)? } else { 0.0 };
        Some(time - copy)
    }
}

/// The machine and the versions.
pub fn header() {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpu = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let peers = ["rten-vecmath", "candle-nn", "libm"].map(|peer| format!("{peer} {}", version(peer)));
    println!("{cpu}; xent {} on {}; {}", version("xent"), Backend::active(), peers.join(", "));
}

fn version(package: &str) -> &'static str {
    let locked = include_str!("../../Cargo.lock").split_once(&format!("name = \"{package}\"\nversion = \""));
    locked.and_then(|(_, rest)| rest.split('"').next()).unwrap_or("?")
}

const PEERS: [&str; 4] = ["rten", "candle", "libm", "wide"];

/// xent's nanoseconds an element, and how often that the others take.
pub fn table(times: &Times) {
    print!("{:18}{:>11}{:>12}", "", "", "xent ns/el");
    PEERS.iter().for_each(|peer| print!("{peer:>9}"));
    println!();
    for op in OPS {
        for &shape in op.shapes.iter().copied().flatten() {
            let Some(own) = times.of(op.name, "xent", shape) else { continue };
            print!("{:18}{:>11}{:>12.3}", op.name, name(shape), own / (shape.0 * shape.1) as f64);
            for peer in PEERS {
                let ratio = times.of(op.name, peer, shape).map_or("-".into(), |time| format!("{:.2}", time / own));
                print!("{ratio:>9}");
            }
            println!();
        }
    }
    println!("\nThe peers' columns are their time over xent's; wide is xent on four lanes.\n");
}

/// The most that xent's time may be, of what.
struct Bar {
    who: &'static str,
    op: &'static str,
    of: Of,
    shapes: &'static [&'static [Shape]],
    at_most: f64,
}

enum Of {
    /// Another contender or operation, on the same numbers.
    Beside(&'static str, &'static str),
    /// Its own time an element on another shape.
    Elements(Shape),
    /// A nanosecond.
    Nanosecond,
}

use Of::{Beside, Elements, Nanosecond};

const ALL_ROWS: &[&[Shape]] = &[SHORT_ROWS, LONG_ROWS];

const BARS: &[Bar] = &[
    bar("xent", "exp", Beside("rten", "exp"), &[IN_CACHE], 0.55),
    bar("xent", "exp in place", Beside("rten", "exp in place"), &[IN_CACHE], 0.55),
    bar("xent", "sigmoid", Beside("rten", "sigmoid"), &[IN_CACHE], 0.55),
    bar("xent", "sigmoid in place", Beside("rten", "sigmoid in place"), &[IN_CACHE], 0.55),
    bar("xent", "softmax", Beside("rten", "exp"), &[BESIDE_EXP], 0.55),
    bar("xent", "softmax", Beside("rten", "softmax"), &[BESIDE_EXP], 0.6),
    bar("xent", "log_softmax", Beside("xent", "softmax"), ALL_ROWS, 1.0),
    bar("xent", "softmax loss+grad", Beside("xent", "softmax"), &[LONG_ROWS], 1.15),
    bar("xent", "certain loss+grad", Beside("xent", "softmax loss+grad"), &[LONG_ROWS], 1.1),
    bar("xent", "softmax loss+grad", Elements((64, 1000)), &[&[(1024, 10)]], 1.6),
    bar("wide", "softmax", Beside("libm", "softmax"), ALL_ROWS, 0.5),
    bar("wide", "softmax loss+grad", Beside("libm", "softmax loss+grad"), ALL_ROWS, 0.5),
    bar("xent", "softmax", Nanosecond, &[ROW], 60.0),
    bar("xent", "softmax loss+grad", Nanosecond, &[ROW], 60.0),
];

const fn bar(who: &'static str, op: &'static str, of: Of, shapes: &'static [&'static [Shape]], at_most: f64) -> Bar {
    Bar { who, op, of, shapes, at_most }
}

impl Bar {
    fn what(&self) -> String {
        let what = format!("{} {}", self.who, self.op);
        match self.of {
            Beside(who, op) => format!("{what} / {who} {op}"),
            Elements(shape) => format!("{what} / itself at {}, an element", name(shape)),
            Nanosecond => format!("{what}, ns"),
        }
    }

    fn measured(&self, times: &Times, shape: Shape) -> Option<f64> {
        let time = times.of(self.op, self.who, shape)?;
        let elements = |(rows, classes): Shape| (rows * classes) as f64;
        Some(match self.of {
            Beside(who, op) => time / times.of(op, who, shape)?,
            Elements(other) => time / elements(shape) / (times.of(self.op, self.who, other)? / elements(other)),
            Nanosecond => time,
        })
    }
}

/// Each bar with what was measured, shape by shape; those that were not measured are left out.
pub fn bars(times: &Times) {
    println!("bars");
    for bar in BARS {
        let shapes = bar.shapes.iter().copied().flatten();
        let measured: Vec<_> = shapes.filter_map(|&shape| Some((shape, bar.measured(times, shape)?))).collect();
        if measured.is_empty() {
            continue;
        }
        let missed = |value: f64| value > bar.at_most;
        let verdict = if measured.iter().any(|&(_, value)| missed(value)) { "MISSED" } else { "ok" };
        println!("{verdict:8}{} <= {}", bar.what(), bar.at_most);
        for (shape, value) in measured {
            print!("{:>12} {value:.2}{}", name(shape), if missed(value) { "!" } else { "" });
        }
        println!();
    }
}
