//! Every scenario file, and the clusters of twenty seeds: what is found is
//! what was planted, in both directions, and again when it is run again.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pvelens_tests::{
        eval::{self, Evaluation, Repeat},
        run::{self, Options},
        scenario::Scenario,
        sim::{Cluster, ClusterSpec, temporary_directory},
    };

    fn scenarios() -> Vec<Scenario> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        Scenario::read_all(&directory).unwrap()
    }

    fn assert_agrees(evaluation: &Evaluation) {
        let wrong: Vec<String> = evaluation
            .cases
            .iter()
            .flat_map(|case| {
                let name = &case.name;
                case.disagreements
                    .iter()
                    .map(move |line| format!("{name}: {line}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!((evaluation.recall - 1.0).abs() < f64::EPSILON);
        assert!((evaluation.precision - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn every_scenario_file_finds_what_it_says() {
        let scenarios = scenarios();
        assert!(scenarios.len() >= 20, "{}", scenarios.len());
        assert_agrees(&Evaluation::of(&scenarios, None, Repeat::Once).unwrap());
    }

    #[test]
    fn what_seeds_plant_is_found_and_nothing_else() {
        assert_agrees(&Evaluation::of(&[], Some(1..=20), Repeat::Once).unwrap());
    }

    #[test]
    fn a_healthy_cluster_of_any_seed_has_no_findings() {
        for seed in 1..=8 {
            let directory = temporary_directory().unwrap();
            let spec = ClusterSpec {
                seed,
                ..ClusterSpec::default()
            };
            let mut cluster = Cluster::create(&spec, directory.path()).unwrap();
            let options = Options {
                params: spec.params(),
                ..Options::default()
            };
            let outcome = run::run(&mut cluster, &options).unwrap();
            let found: Vec<&str> = outcome
                .findings
                .iter()
                .map(|f| f.summary.as_str())
                .collect();
            assert!(found.is_empty(), "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn a_run_is_the_same_again_whatever_the_order_of_updates() {
        for seed in [2, 7] {
            let first = eval::of_seed(seed, false).unwrap().1;
            assert_eq!(first, eval::of_seed(seed, false).unwrap().1);
            assert_eq!(first, eval::of_seed(seed, true).unwrap().1);
            assert!(first.len() > 2, "seed {seed} shows nothing");
        }
    }
}
