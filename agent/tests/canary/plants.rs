//! Where each secret of `pve-reference.md` §1.7 stands on a node.

/// One secret in one file.
pub(crate) struct Plant {
    /// As the reference names it.
    pub(crate) secret: &'static str,
    pub(crate) path: &'static str,
    /// The file: `{canary}` is the secret, `{before}` what the small node has there.
    pub(crate) content: &'static str,
    /// What stands beside it and arrives; none in a file that is never opened.
    pub(crate) beside: Option<&'static str>,
}

const fn closed(secret: &'static str, path: &'static str) -> Plant {
    Plant {
        secret,
        path,
        content: "{canary}\n",
        beside: None,
    }
}

const fn beside(
    secret: &'static str,
    path: &'static str,
    content: &'static str,
    beside: &'static str,
) -> Plant {
    Plant {
        secret,
        path,
        content,
        beside: Some(beside),
    }
}

/// Names of the list that are no secret themselves, and what stands for them.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    ("tokenid uuid", "the format of priv/token.cfg"),
    ("/etc/pve/priv", "the directory of all that is in priv/"),
    ("domains.cfg", "client-key and tfa"),
    ("datacenter.cfg", "http_proxy"),
    ("status.cfg", "otel-headers"),
    ("sdn/ipams.cfg", "token"),
    ("sdn/dns.cfg", "key"),
];

const VM: &str = "/etc/pve/nodes/pve1/qemu-server/102.conf";

pub(crate) const PLANTS: &[Plant] = &[
    closed("priv/authkey.key", "/etc/pve/priv/authkey.key"),
    closed("priv/pve-root-ca.key", "/etc/pve/priv/pve-root-ca.key"),
    closed("priv/shadow.cfg", "/etc/pve/priv/shadow.cfg"),
    closed("priv/token.cfg", "/etc/pve/priv/token.cfg"),
    closed("priv/tfa.cfg", "/etc/pve/priv/tfa.cfg"),
    closed("priv/notifications.cfg", "/etc/pve/priv/notifications.cfg"),
    closed(
        "priv/storage/S.{pw,enc,master.pem}",
        "/etc/pve/priv/storage/pbs.pw",
    ),
    closed(
        "priv/storage/S.{pw,enc,master.pem}",
        "/etc/pve/priv/storage/pbs.enc",
    ),
    closed(
        "priv/storage/S.{pw,enc,master.pem}",
        "/etc/pve/priv/storage/pbs.master.pem",
    ),
    closed(
        "priv/ceph/S.{keyring,secret,conf}",
        "/etc/pve/priv/ceph/rbd.keyring",
    ),
    closed(
        "priv/ceph/S.{keyring,secret,conf}",
        "/etc/pve/priv/ceph/cephfs.secret",
    ),
    closed(
        "priv/ceph/S.{keyring,secret,conf}",
        "/etc/pve/priv/ceph/rbd.conf",
    ),
    closed(
        "priv/ceph.*.keyring",
        "/etc/pve/priv/ceph.client.admin.keyring",
    ),
    closed(
        "priv/metricserver/X.pw",
        "/etc/pve/priv/metricserver/influx.pw",
    ),
    closed("priv/realm/R.pw", "/etc/pve/priv/realm/ldap.pw"),
    closed("priv/acme/*", "/etc/pve/priv/acme/default"),
    closed("pve-www.key", "/etc/pve/pve-www.key"),
    closed("nodes/*/pve-ssl.key", "/etc/pve/nodes/pve1/pve-ssl.key"),
    closed(
        "nodes/*/pveproxy-ssl.key",
        "/etc/pve/nodes/pve1/pveproxy-ssl.key",
    ),
    closed(
        "ceph/ceph.client.crash.keyring",
        "/etc/pve/ceph/ceph.client.crash.keyring",
    ),
    closed("ha/fence.cfg", "/etc/pve/ha/fence.cfg"),
    beside(
        "client-key",
        "/etc/pve/domains.cfg",
        "{before}\nopenid: planted-realm\n\tissuer-url https://sso.example.org\n\tclient-id x\n\tclient-key {canary}\n",
        "planted-realm",
    ),
    beside(
        "tfa",
        "/etc/pve/domains.cfg",
        "{before}\npve: planted-yubico\n\ttfa type=yubico,id=1,key={canary},url=https://y.example.org\n",
        "planted-yubico",
    ),
    beside(
        "user.cfg",
        "/etc/pve/user.cfg",
        "{before}user:planted-user@pve:1:0:A:B:a@example.org:note {canary}:{canary}:\n",
        "planted-user@pve",
    ),
    beside(
        "http_proxy",
        "/etc/pve/datacenter.cfg",
        "{before}http_proxy: http://joe:{canary}@proxy.example.org:3128\nmac_prefix: AA:BB:CC\n",
        "AA:BB:CC",
    ),
    beside(
        "otel-headers",
        "/etc/pve/status.cfg",
        "{before}\nopentelemetry: planted-metrics\n\tserver otel.example.org\n\tport 4318\n\totel-headers {canary}\n",
        "planted-metrics",
    ),
    beside(
        "token",
        "/etc/pve/sdn/ipams.cfg",
        "{before}\nnetbox: planted-ipam\n\turl https://netbox.example.org/api\n\ttoken {canary}\n",
        "planted-ipam",
    ),
    beside(
        "key",
        "/etc/pve/sdn/dns.cfg",
        "{before}\npowerdns: planted-dns\n\turl https://dns.example.org/api\n\tkey {canary}\n",
        "planted-dns",
    ),
    beside(
        "notifications.cfg",
        "/etc/pve/notifications.cfg",
        "{before}\nwebhook: planted-hook\n\turl https://joe:{canary}@hook.example.org/{canary}?t={canary}\n\tbody {canary}\n\theader name=x,value={canary}\n\tmethod post\n\tcomment {canary}\n",
        "planted-hook",
    ),
    beside(
        "cipassword",
        VM,
        "{before}name: planted-vm\ncipassword: {canary}\ndescription: {canary}\n",
        "planted-vm",
    ),
    beside(
        "sshkeys",
        VM,
        "{before}sshkeys: ssh-ed25519%20{canary}\n",
        "planted-vm",
    ),
    beside(
        "args",
        VM,
        "{before}args: -fw_cfg name=opt/x,string={canary}\n\n[PENDING]\ncipassword: {canary}\nargs: {canary}\n\n[planted-snapshot]\n#{canary}\ncipassword: {canary}\nsshkeys: {canary}\nargs: {canary}\nsnaptime: 1795000000\n",
        "planted-snapshot",
    ),
    beside(
        "lxc.environment*",
        "/etc/pve/nodes/pve1/lxc/111.conf",
        "hostname: planted-container\nmemory: 512\nrootfs: local:111/root.raw,size=8G\nlxc.environment: PASSWORD={canary}\nlxc.environment.runtime = TOKEN={canary}\n",
        "planted-container",
    ),
    beside(
        "env",
        "/etc/pve/nodes/pve1/lxc/111.conf",
        "{before}env: PASSWORD={canary}\n\n[planted-earlier]\nenv: TOKEN={canary}\nlxc.environment: X={canary}\nsnaptime: 1795000000\n",
        "planted-earlier",
    ),
];
