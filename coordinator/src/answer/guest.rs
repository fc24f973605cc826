//! Questions about guests.

use std::cmp::Ordering;

use super::{
    AnswerError, Guest, GuestFilter, Guests, Page,
    finding::about,
    page::{self, List},
    select,
};
use crate::{
    coordinator::Current,
    inventory::{coverage, detail, summary, word},
    view::{self, ClusterIndex, NodeIndex, View},
};

const LIST: List = List {
    tag: 'g',
    default: 50,
    most: 1000,
};

/// # Errors
/// When cluster or node are not known, or the page is malformed.
pub fn guests(current: &Current, filter: &GuestFilter, page: &Page) -> Result<Guests, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let nodes = if filter.node.is_empty() {
        None
    } else {
        Some(select::nodes(view, &clusters, &filter.node)?)
    };
    let size = LIST.size(page)?;
    let after = LIST.position(page)?.as_deref().map(parse).transpose()?;

    let is_every = *filter
        == GuestFilter {
            cluster: filter.cluster.clone(),
            ..GuestFilter::default()
        };
    let mut shown = Vec::new();
    let (mut total, mut more) = (0_u32, false);
    let mut last = None;
    for cluster in clusters.iter().map(|cluster| view.cluster(*cluster)) {
        // Whether the page begins behind this cluster, or after a guest in it.
        let (is_before, last_vmid) = match &after {
            None => (false, None),
            Some((id, vmid)) => match (*cluster.id).cmp(id.as_str()) {
                Ordering::Less => (true, None),
                Ordering::Equal => (false, Some(*vmid)),
                Ordering::Greater => (false, None),
            },
        };
        if is_every && (is_before || shown.len() >= size) {
            let count = cluster.guests.end.saturating_sub(cluster.guests.start);
            total = total.saturating_add(count);
            more |= !is_before && count > 0;
            continue;
        }
        for (_, guest) in view.guests_of(cluster) {
            if !matches(guest, filter, nodes.as_deref()) {
                continue;
            }
            total += 1;
            if is_before || last_vmid.is_some_and(|vmid| guest.vmid <= vmid) {
                continue;
            }
            if shown.len() < size {
                shown.push(summary::guest(view, guest));
                last = Some((&*cluster.id, guest.vmid));
            } else {
                more = true;
            }
        }
    }
    Ok(Guests {
        guests: shown,
        total,
        next_page_token: last
            .filter(|_| more)
            .map(|(id, vmid)| LIST.token(&format!("{vmid} {id}"))),
        coverage: coverage_of(view, &clusters, nodes.as_deref()),
    })
}

fn coverage_of(
    view: &View,
    clusters: &[ClusterIndex],
    nodes: Option<&[NodeIndex]>,
) -> crate::inventory::Coverage {
    match nodes {
        Some([node]) => coverage::of_node(view, *node),
        _ => coverage::of_clusters(view, clusters),
    }
}

/// Cluster id and VMID, the order of guests in a view.
fn parse(key: &str) -> Result<(String, u32), AnswerError> {
    let (vmid, id) = key.split_once(' ').ok_or_else(page::malformed)?;
    let vmid = vmid.parse().map_err(|_| page::malformed())?;
    Ok((id.to_owned(), vmid))
}

fn matches(guest: &view::Guest, filter: &GuestFilter, nodes: Option<&[NodeIndex]>) -> bool {
    nodes.is_none_or(|nodes| nodes.contains(&guest.node))
        && filter.kind.is_none_or(|kind| guest.kind == kind)
        && (filter.status.is_empty()
            || word::guest_status(&guest.status).eq_ignore_ascii_case(&filter.status))
        && (filter.tag.is_empty() || has_tag(guest, &filter.tag))
}

/// PVE compares tags without case unless the datacenter says otherwise.
pub(crate) fn has_tag(guest: &view::Guest, tag: &str) -> bool {
    guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref())
        .is_some_and(|settings| {
            settings
                .tags
                .iter()
                .any(|other| other.eq_ignore_ascii_case(tag))
        })
}

/// A guest by VMID or exact name.
///
/// # Errors
/// When cluster or guest are not known, or the name is ambiguous.
pub fn guest(current: &Current, cluster: &str, guest: &str) -> Result<Guest, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    let index = select::guest(view, &clusters, guest)?;
    let guest = view.guest(index);
    let id = &*view.cluster(guest.cluster).id;
    Ok(Guest {
        guest: summary::guest(view, guest),
        detail: detail::guest(guest),
        findings: about(current, id, &format!("guest/{}", guest.vmid)),
        coverage: coverage::of_node(view, guest.node),
    })
}
