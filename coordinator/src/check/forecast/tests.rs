use std::time::Duration;

use super::*;
use crate::{check::testing::Scene, windows::Windows};

const POOL: ObjectKey = ObjectKey(30);

/// Grows by as much in each step, over so many of the newest steps.
fn growing(scene: &mut Scene, by: f64, steps: u16) {
    scene.windows = Windows::read_at(scene.at);
    scene.course(
        POOL,
        "",
        (72 - steps..72).map(|step| (step, f64::from(step) * by)),
    );
}

fn said(scene: &Scene, free: f64) -> String {
    match forecast(&scene.input(), POOL, "", free) {
        Forecast::Far => "far".to_owned(),
        Forecast::Near => "near".to_owned(),
        Forecast::TooFew => "too few".to_owned(),
        Forecast::Full(filling) => filling.left(),
    }
}

#[test]
fn what_is_full_in_a_day_is_near_and_in_less_than_one_it_is_found() {
    let mut scene = Scene::healthy();
    // A step is 1/1024: a day of them is 9/32.
    growing(&mut scene, 1.0 / 1024.0, 72);
    for (free, expected) in [
        (0.0, "0 s"),
        (1.0 / 32.0, "2 h"),
        (0.28, "23 h"),
        (9.0 / 32.0, "near"),
        (0.337, "near"),
        (0.338, "far"),
        (0.42, "far"),
    ] {
        assert_eq!(said(&scene, free), expected, "{free}");
    }
}

#[test]
fn what_is_mostly_free_is_not_forecast() {
    let mut scene = Scene::healthy();
    growing(&mut scene, 1.0 / 256.0, 72);
    for (free, expected) in [
        (0.39, "8 h"),
        (0.40, "near"),
        (0.42, "near"),
        (0.431, "far"),
    ] {
        assert_eq!(said(&scene, free), expected, "{free}");
    }
}

#[test]
fn what_shrinks_or_stands_still_is_far_from_full() {
    let mut scene = Scene::healthy();
    for by in [0.0, -0.01] {
        growing(&mut scene, by, 72);
        assert_eq!(said(&scene, 0.01), "far", "{by}");
    }
}

#[test]
fn too_few_steps_say_nothing() {
    let mut scene = Scene::healthy();
    // Of 72 steps the newest may just have begun.
    for (steps, expected) in [(56, "too few"), (57, "2 h")] {
        growing(&mut scene, 1.0 / 1024.0, steps);
        assert_eq!(said(&scene, 1.0 / 32.0), expected, "{steps}");
    }
    growing(&mut scene, 1.0 / 1024.0, 56);
    assert_eq!(
        said(&scene, 0.431),
        "far",
        "it would not be forecast anyway"
    );
}

#[test]
fn a_set_that_is_not_read_any_more_says_nothing() {
    let mut scene = Scene::healthy();
    growing(&mut scene, 1.0 / 1024.0, 72);
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    scene.at += minutes(20);
    assert_eq!(said(&scene, 1.0 / 32.0), "2 h");
    scene.at += Duration::from_secs(1);
    assert_eq!(said(&scene, 1.0 / 32.0), "too few");
    // The clock was set back.
    scene.at -= minutes(42);
    assert_eq!(said(&scene, 1.0 / 32.0), "too few");
}

#[test]
fn without_a_store_nothing_is_forecast_and_before_it_is_read_nothing_is_known() {
    let mut scene = Scene::healthy();
    assert_eq!(said(&scene, 0.01), "far");
    scene.windows = Windows::awaited();
    assert_eq!(said(&scene, 0.01), "too few");
}

#[test]
fn one_jump_and_what_has_ended_are_no_growth() {
    let mut scene = Scene::healthy();
    let mut of = |level: &dyn Fn(u16) -> f64| {
        scene.windows = Windows::read_at(scene.at);
        scene.course(POOL, "", (0..72).map(|step| (step, level(step))));
        said(&scene, 0.1)
    };
    for at in 0..72 {
        let jump = |step| if step < at { 0.2 } else { 0.8 };
        assert_eq!(of(&jump), "far", "a jump at {at}");
    }
    let copied = |step: u16| f64::from(step.min(50)) / 100.0;
    assert_eq!(of(&copied), "far");
    // A tide: it grows now, and does not over the six hours.
    let tide = |step: u16| 0.5 - 0.4 * (f64::from(step) / 11.0).sin();
    assert_eq!(of(&tide), "far");
}
