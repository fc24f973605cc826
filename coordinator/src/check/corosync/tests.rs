use crate::check::testing::Scene;

const LINK: &str = "cluster.corosync.single_link";
const CRYPTO: &str = "cluster.corosync.crypto_off";

#[test]
fn one_node_with_one_address_is_found() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(LINK, "cluster"), "pass");
    scene.corosync().nodes[1].addresses.pop();
    assert_eq!(scene.judge(LINK, "cluster"), "warning");
    assert!(scene.summary(LINK).starts_with("pve2 has one link"));
    for node in &mut scene.corosync().nodes {
        node.addresses.truncate(1);
    }
    assert!(scene.summary(LINK).starts_with("Every node has one link"));
}

#[test]
fn encryption_is_off_by_switch_transport_or_cipher() {
    for (transport, secauth, cipher, expected) in [
        ("knet", "on", "", "pass"),
        ("", "yes", "", "pass"),
        ("knet", "off", "aes256", "pass"),
        ("knet", "off", "", "critical"),
        ("knet", "", "none", "critical"),
        ("udp", "on", "aes256", "critical"),
        ("UDPU", "on", "", "critical"),
        ("knet", "on", "3des", "critical"),
    ] {
        let mut scene = Scene::healthy();
        let config = scene.corosync();
        transport.clone_into(&mut config.transport);
        secauth.clone_into(&mut config.secauth);
        cipher.clone_into(&mut config.crypto_cipher);
        let case = (transport, secauth, cipher);
        assert_eq!(scene.judge(CRYPTO, "cluster"), expected, "{case:?}");
    }
}

#[test]
fn the_configuration_must_be_known_and_exist() {
    let mut scene = Scene::healthy();
    scene.view.clusters[0].corosync = None;
    assert_eq!(scene.judge(LINK, "cluster"), "unknown");
    assert_eq!(scene.judge(CRYPTO, "cluster"), "unknown");
    scene.view.clusters[0].standalone = true;
    assert_eq!(scene.judge(LINK, "cluster"), "not applicable");
    assert_eq!(scene.judge(CRYPTO, "cluster"), "not applicable");
}
