//! `EnrollmentService`: who belongs to this installation.

use pvelens_proto::v1::{enrollment_service_server::EnrollmentService, *};
use tonic::{Request, Response, Status, async_trait};

use super::Backend;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl EnrollmentService for Service {
    async fn enroll(&self, _: Request<EnrollRequest>) -> Result<Response<EnrollResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn create_token(
        &self,
        _: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn list_tokens(
        &self,
        _: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn withdraw_token(
        &self,
        _: Request<WithdrawTokenRequest>,
    ) -> Result<Response<WithdrawTokenResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn revoke_agent(
        &self,
        _: Request<RevokeAgentRequest>,
    ) -> Result<Response<RevokeAgentResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn issue_client(
        &self,
        _: Request<IssueClientRequest>,
    ) -> Result<Response<IssueClientResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn renew_client(
        &self,
        _: Request<RenewClientRequest>,
    ) -> Result<Response<RenewClientResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn list_clients(
        &self,
        _: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn revoke_client(
        &self,
        _: Request<RevokeClientRequest>,
    ) -> Result<Response<RevokeClientResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn get_authorities(
        &self,
        _: Request<GetAuthoritiesRequest>,
    ) -> Result<Response<GetAuthoritiesResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn rotate_authority(
        &self,
        _: Request<RotateAuthorityRequest>,
    ) -> Result<Response<RotateAuthorityResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn retire_authority(
        &self,
        _: Request<RetireAuthorityRequest>,
    ) -> Result<Response<RetireAuthorityResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
    async fn back_up_authority(
        &self,
        _: Request<BackUpAuthorityRequest>,
    ) -> Result<Response<BackUpAuthorityResponse>, Status> {
        Err(Status::unimplemented("not yet"))
    }
}
