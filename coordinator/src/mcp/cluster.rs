//! Tools about clusters, their nodes and storages.

use rmcp::{handler::server::wrapper::Parameters, model::CallToolResult, tool, tool_router};

use super::{
    Server,
    arguments::{
        ClusterStatusArguments, Detail, NodeArguments, NodesArguments, StorageArguments, page, text,
    },
    page::{self as paging, Paged},
    reply::Layout,
    schema,
    shape::{COVERAGE, Keep, Shape},
};
use crate::{
    answer::{self, AnswerError, ClusterStatus, Node, Nodes, Storages},
    coordinator::Current,
};

const CLUSTER_STATUS: Shape = Shape {
    list: "",
    summary: &[COVERAGE],
    lists: &["coverage/nodes", "coverage/not_assessed", "clusters"],
};

const NODES: Shape = Shape {
    list: "nodes",
    summary: &[
        Keep {
            at: "nodes/*",
            members: &[
                "cluster",
                "name",
                "status",
                "coverage",
                "figures_at",
                "uptime_seconds",
                "cpus",
                "cpu_ratio",
                "iowait_ratio",
                "load1",
                "memory_total_bytes",
                "memory_used_bytes",
                "swap_total_bytes",
                "swap_used_bytes",
                "root_total_bytes",
                "root_used_bytes",
                "pve_manager_version",
                "guests_running",
                "guests_total",
            ],
        },
        COVERAGE,
    ],
    lists: &["coverage/nodes", "coverage/not_assessed"],
};

const NODE: Shape = Shape {
    list: "",
    summary: &[],
    lists: &["detail/interfaces", "detail/disks", "detail/filesystems"],
};

const STORAGE: Shape = Shape {
    list: "storages",
    summary: &[COVERAGE],
    lists: &[
        "storages/*/nodes",
        "coverage/nodes",
        "coverage/not_assessed",
    ],
};

#[tool_router(router = cluster_tools, vis = "pub(super)")]
impl Server {
    /// State of each cluster: quorum, how many nodes, guests and storages there
    /// are, and how many critical and warning findings are open. Use it first to
    /// see what exists. For what is wrong and how to fix it use
    /// analyze_cluster_health; for the objects use get_nodes, get_vms,
    /// get_containers and get_storage. A missing `quorate` means unknown or a
    /// single node, never healthy.
    #[tool(
        title = "Cluster status",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        ),
        output_schema = schema::output::<ClusterStatus>(&CLUSTER_STATUS)
    )]
    async fn get_cluster_status(
        &self,
        Parameters(arguments): Parameters<ClusterStatusArguments>,
    ) -> CallToolResult {
        self.answer(move |current| {
            let answer = answer::cluster_status(current, &text(arguments.cluster))?;
            Layout::new(current, &CLUSTER_STATUS, arguments.detail).whole(&answer)
        })
        .await
    }

    /// Nodes of the clusters with status, CPU, memory, swap, root file system and
    /// number of guests. Use it to compare nodes or to learn their names; for
    /// disks, interfaces and file systems of one node use get_node_status.
    /// `coverage` says how much is known of a node: `basic` figures come from
    /// other members, `full` from its own agent. Figures that are not known are
    /// left out. Memory used is total less available.
    #[tool(
        title = "Nodes",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        ),
        output_schema = schema::output::<Paged<Nodes>>(&NODES)
    )]
    async fn get_nodes(&self, Parameters(arguments): Parameters<NodesArguments>) -> CallToolResult {
        self.answer(move |current| {
            let page = page(arguments.page_size, arguments.page_token.as_ref())?;
            let cluster = text(arguments.cluster);
            Layout::new(current, &NODES, arguments.detail).page(page, |page| {
                let paged = paging::nodes(answer::nodes(current, &cluster)?, page)?;
                let markdown = paged.markdown();
                Ok((paged, markdown))
            })
        })
        .await
    }

    /// One node: CPU, memory, pressure (share of time that tasks waited), disks
    /// with latency and use, network interfaces with errors, file systems, and
    /// what its agent could not read. Use it when a node is slow, full or
    /// suspect; use get_nodes to compare nodes, get_findings with subject
    /// `node/NAME` for what is wrong with it.
    #[tool(
        title = "Node status",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        ),
        output_schema = schema::output::<Node>(&NODE)
    )]
    async fn get_node_status(
        &self,
        Parameters(arguments): Parameters<NodeArguments>,
    ) -> CallToolResult {
        self.answer(move |current| {
            let answer = answer::node(current, &text(arguments.cluster), &arguments.node)?;
            Layout::new(current, &NODE, arguments.detail).whole(&answer)
        })
        .await
    }

    /// Storages with type, content, and size and use on each node that may use
    /// them. Use it for space and for storages that are not active. A shared
    /// storage is the same on every node: a summary lists one of them and those
    /// where it is not active. `unknown` means that the node reports nothing
    /// about it; it is not healthy and not empty.
    #[tool(
        title = "Storages",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        ),
        output_schema = schema::output::<Paged<Storages>>(&STORAGE)
    )]
    async fn get_storage(
        &self,
        Parameters(arguments): Parameters<StorageArguments>,
    ) -> CallToolResult {
        self.answer(move |current| {
            let page = page(arguments.page_size, arguments.page_token.as_ref())?;
            let cluster = text(arguments.cluster);
            let node = text(arguments.node);
            let layout = Layout::new(current, &STORAGE, arguments.detail);
            layout.page(page, |page| {
                let answer = storages(current, &cluster, &node)?;
                let mut paged = paging::storages(answer, page)?;
                let markdown = paged.markdown();
                if layout.detail == Detail::Summary {
                    once(&mut paged.answer);
                }
                Ok((paged, markdown))
            })
        })
        .await
    }
}

/// All storages, or those that a node may use.
fn storages(current: &Current, cluster: &str, node: &str) -> Result<Storages, AnswerError> {
    let mut answer = answer::storages(current, cluster)?;
    if !node.is_empty() {
        let node = answer::node(current, cluster, node)?;
        let name = &node.node.name;
        for storage in &mut answer.storages {
            storage.nodes.retain(|on_node| on_node.node == *name);
        }
        answer
            .storages
            .retain(|storage| storage.cluster == node.node.cluster && !storage.nodes.is_empty());
        answer.coverage = node.coverage;
    }
    Ok(answer)
}

/// Lists a shared storage on one node, and on those where it is not active.
fn once(answer: &mut Storages) {
    for storage in answer.storages.iter_mut().filter(|storage| storage.shared) {
        let mut active = 0;
        storage.nodes.retain(|on_node| {
            active += usize::from(on_node.status == "active");
            on_node.status != "active" || active == 1
        });
    }
}
