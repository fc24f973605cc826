//! `InventoryService`: what exists and how it is.

use pvelens_proto::v1::{
    GetClusterStatusRequest, GetClusterStatusResponse, GetGuestRequest, GetGuestResponse,
    GetNodeRequest, GetNodeResponse, ListGuestsRequest, ListGuestsResponse, ListNodesRequest,
    ListNodesResponse, ListStoragesRequest, ListStoragesResponse,
    inventory_service_server::InventoryService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Api, request, respond,
    status::{self, Named},
};
use crate::answer::{self, GuestFilter};

#[derive(Debug)]
pub(super) struct Service(pub(super) Api);

#[async_trait]
impl InventoryService for Service {
    async fn get_cluster_status(
        &self,
        request: Request<GetClusterStatusRequest>,
    ) -> Result<Response<GetClusterStatusResponse>, Status> {
        let GetClusterStatusRequest { cluster, render } = request.into_inner();
        respond(&self.0, render, move |current| {
            answer::cluster_status(current, &cluster)
                .map_err(|error| status::answer(&error, current, &cluster, Named::Cluster))
        })
        .await
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let ListNodesRequest { cluster, render } = request.into_inner();
        respond(&self.0, render, move |current| {
            answer::nodes(current, &cluster)
                .map_err(|error| status::answer(&error, current, &cluster, Named::Cluster))
        })
        .await
    }

    async fn get_node(
        &self,
        request: Request<GetNodeRequest>,
    ) -> Result<Response<GetNodeResponse>, Status> {
        let GetNodeRequest {
            cluster,
            node,
            render,
        } = request.into_inner();
        respond(&self.0, render, move |current| {
            answer::node(current, &cluster, &node)
                .map_err(|error| status::answer(&error, current, &cluster, Named::Node))
        })
        .await
    }

    async fn list_guests(
        &self,
        request: Request<ListGuestsRequest>,
    ) -> Result<Response<ListGuestsResponse>, Status> {
        let ListGuestsRequest {
            cluster,
            node,
            kind,
            status,
            tag,
            page_size,
            page_token,
            render,
        } = request.into_inner();
        let page = request::page(page_size, page_token);
        let filter = GuestFilter {
            cluster,
            node,
            kind: request::guest_kind(kind)?,
            status,
            tag,
        };
        respond(&self.0, render, move |current| {
            answer::guests(current, &filter, &page)
                .map_err(|error| status::answer(&error, current, &filter.cluster, Named::Node))
        })
        .await
    }

    async fn get_guest(
        &self,
        request: Request<GetGuestRequest>,
    ) -> Result<Response<GetGuestResponse>, Status> {
        let GetGuestRequest {
            cluster,
            guest,
            render,
        } = request.into_inner();
        respond(&self.0, render, move |current| {
            answer::guest(current, &cluster, &guest)
                .map_err(|error| status::answer(&error, current, &cluster, Named::Guest))
        })
        .await
    }

    async fn list_storages(
        &self,
        request: Request<ListStoragesRequest>,
    ) -> Result<Response<ListStoragesResponse>, Status> {
        let ListStoragesRequest { cluster, render } = request.into_inner();
        respond(&self.0, render, move |current| {
            answer::storages(current, &cluster)
                .map_err(|error| status::answer(&error, current, &cluster, Named::Cluster))
        })
        .await
    }
}
