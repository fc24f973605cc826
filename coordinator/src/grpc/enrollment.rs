//! `EnrollmentService`: who belongs to this installation.
//!
//! Enrolling is open to whoever has a token; everything else needs the role of an
//! administrator, except to renew one's own certificate and to see whom to trust.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    identity::ClientRole,
    v1::{self as message, ErrorReason, enrollment_service_server::EnrollmentService},
};
use tokio::task;
use tonic::{Request, Response, Status, async_trait};
use tracing::{error, info};

use super::{Backend, caller::Caller, convert, remote::Peer, request, status, work};
use crate::{
    answer::enrollment::{
        Authorities, Clients, NewToken, RetiredAuthority, RevokedAgent, RevokedClient,
        RotatedAuthority, Token, Tokens, WithdrawnToken,
    },
    log::AUDIT,
    port::Tried,
    trust::{ClientCertificate, EnrollError, TokenWish, Trust, TrustError},
    untrusted,
};

mod selection;

const DEFAULT_VALID: SignedDuration = SignedDuration::from_hours(1);

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

impl Service {
    /// The trust, and what time it is.
    fn trust(&self) -> Result<(Arc<Trust>, Timestamp), Status> {
        let trust = self.backend.trust.clone().ok_or_else(status::no_trust)?;
        Ok((trust, (self.backend.clock)()))
    }
}

/// Does what waits for the disk.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<Response<T>, Status> {
    let done = task::spawn_blocking(work).await;
    done.unwrap_or_else(|defect| {
        error!(error = %defect, "a change of the trust was not finished");
        Err(status::internal())
    })
    .map(Response::new)
}

/// An error about nothing that was looked for.
fn failed(error: &TrustError) -> Status {
    status::trust(error, ErrorReason::NotFoundAuthority)
}

#[async_trait]
impl EnrollmentService for Service {
    async fn enroll(
        &self,
        request: Request<message::EnrollRequest>,
    ) -> Result<Response<message::EnrollResponse>, Status> {
        let (trust, now) = self.trust()?;
        let address = request.extensions().get::<Peer>();
        let address = address.map(|peer| peer.address.ip().to_canonical());
        let peer = address.map_or_else(|| "this host".to_owned(), |address| address.to_string());
        let request = request.into_inner();
        let coordinator = Arc::clone(&self.backend.coordinator);
        on_disk(move || {
            let (node, token) = (
                untrusted::name(&request.node_name),
                untrusted::name(&request.token_id),
            );
            match trust.enroll(&request, &peer, now) {
                Ok(response) => {
                    coordinator.ports().enroll();
                    info!(
                        target: AUDIT,
                        %node,
                        cluster = %untrusted::name(&request.cluster_id),
                        %token,
                        peer,
                        version = %untrusted::name(&request.agent_version),
                        "a node joined"
                    );
                    Ok(response)
                }
                Err(error) => {
                    info!(%node, %token, peer, %error, "a node was not let in");
                    // What fails in the coordinator itself is nobody's try.
                    if let (Some(address), false) =
                        (address, matches!(error, EnrollError::Trust(_)))
                    {
                        let why = untrusted::line(&error.to_string(), 120).into_owned();
                        let refusals = &coordinator.ports().refusals;
                        refusals.note(Tried::Token, address, why, now);
                    }
                    Err(status::enroll(&error))
                }
            }
        })
        .await
    }

    async fn create_token(
        &self,
        request: Request<message::CreateTokenRequest>,
    ) -> Result<Response<message::CreateTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::CreateTokenRequest {
            node_name,
            cluster,
            node_count,
            valid_seconds,
            render,
        } = request.into_inner();
        let wish = TokenWish {
            node: node_name.trim().to_owned(),
            cluster: selection::cluster(&self.backend.coordinator.current(), &cluster)?,
            node_count: node_count.max(1),
            valid: match valid_seconds {
                0 => DEFAULT_VALID,
                seconds => SignedDuration::from_secs(seconds.into()),
            },
        };
        let made = work(render, move || {
            let made = trust
                .create_token(wish, now)
                .map_err(|error| failed(&error))?;
            let token = &made.token;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                token = token.id,
                node = token.node,
                cluster = token.cluster,
                node_count = token.node_count,
                expires_at = %token.expires_at,
                "made a token"
            );
            Ok(NewToken::new(made, now))
        });
        made.await.map(Response::new)
    }

    async fn list_tokens(
        &self,
        request: Request<message::ListTokensRequest>,
    ) -> Result<Response<message::ListTokensResponse>, Status> {
        let (trust, now) = self.trust()?;
        let message::ListTokensRequest { render } = request.into_inner();
        let listed = work(render, move || Ok(Tokens::new(trust.tokens(), now)));
        listed.await.map(Response::new)
    }

    async fn withdraw_token(
        &self,
        request: Request<message::WithdrawTokenRequest>,
    ) -> Result<Response<message::WithdrawTokenResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::WithdrawTokenRequest { id, render } = request.into_inner();
        let withdrawn = work(render, move || {
            let token = trust
                .withdraw_token(id.trim(), now)
                .map_err(|error| status::trust(&error, ErrorReason::NotFoundToken))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                token = token.id,
                "withdrew a token"
            );
            Ok(WithdrawnToken {
                token: Token::new(token, now),
            })
        });
        withdrawn.await.map(Response::new)
    }

    async fn revoke_agent(
        &self,
        request: Request<message::RevokeAgentRequest>,
    ) -> Result<Response<message::RevokeAgentResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::RevokeAgentRequest {
            node_name,
            cluster,
            render,
        } = request.into_inner();
        let current = self.backend.coordinator.current();
        let revoked = work(render, move || {
            let (cluster, node) =
                selection::node(&trust.nodes(), &current, &cluster, node_name.trim())?;
            let revoked_certificates = trust
                .revoke_node(&cluster, &node, now)
                .map_err(|error| status::trust(&error, ErrorReason::NotFoundNode))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                cluster,
                node,
                revoked_certificates,
                "revoked a node"
            );
            Ok(RevokedAgent {
                cluster,
                node,
                revoked_certificates,
            })
        });
        revoked.await.map(Response::new)
    }

    async fn issue_client(
        &self,
        request: Request<message::IssueClientRequest>,
    ) -> Result<Response<message::IssueClientResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::IssueClientRequest {
            name,
            role,
            csr_der,
            valid_days,
        } = request.into_inner();
        let role = client_role(role)?;
        on_disk(move || {
            let issued = trust
                .issue_client(&name, role, &csr_der, valid_days, now)
                .map_err(|error| failed(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                name,
                given = %role,
                expires_at = %issued.expires_at,
                "gave a client a certificate"
            );
            Ok(message::IssueClientResponse {
                chain: Some(issued.chain),
                authorities: issued.authorities,
                addresses: trust.names().api_addresses(),
                expires_at: Some(convert::timestamp(issued.expires_at)),
            })
        })
        .await
    }

    async fn renew_client(
        &self,
        request: Request<message::RenewClientRequest>,
    ) -> Result<Response<message::RenewClientResponse>, Status> {
        let (trust, now) = self.trust()?;
        let certificate = request.extensions().get::<ClientCertificate>().cloned();
        let certificate = certificate.ok_or_else(status::no_client_certificate)?;
        let message::RenewClientRequest { csr_der } = request.into_inner();
        on_disk(move || {
            let issued = trust
                .renew_client(&certificate, &csr_der, now)
                .map_err(|error| status::trust(&error, ErrorReason::NotFoundClient))?;
            info!(
                target: AUDIT,
                role = %certificate.role,
                client = certificate.name,
                expires_at = %issued.expires_at,
                "renewed the certificate of a client"
            );
            Ok(message::RenewClientResponse {
                chain: Some(issued.chain),
                authorities: issued.authorities,
                expires_at: Some(convert::timestamp(issued.expires_at)),
            })
        })
        .await
    }

    async fn list_clients(
        &self,
        request: Request<message::ListClientsRequest>,
    ) -> Result<Response<message::ListClientsResponse>, Status> {
        let (trust, now) = self.trust()?;
        let message::ListClientsRequest { render } = request.into_inner();
        let listed = work(render, move || Ok(Clients::new(trust.clients(), now)));
        listed.await.map(Response::new)
    }

    async fn revoke_client(
        &self,
        request: Request<message::RevokeClientRequest>,
    ) -> Result<Response<message::RevokeClientResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::RevokeClientRequest {
            name_or_serial,
            render,
        } = request.into_inner();
        let revoked = work(render, move || {
            let name_or_serial = name_or_serial.trim().to_owned();
            let revoked_certificates = trust
                .revoke_client(&name_or_serial, now)
                .map_err(|error| status::trust(&error, ErrorReason::NotFoundClient))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                name_or_serial,
                revoked_certificates,
                "revoked a client"
            );
            Ok(RevokedClient {
                name_or_serial,
                revoked_certificates,
            })
        });
        revoked.await.map(Response::new)
    }

    async fn get_authorities(
        &self,
        request: Request<message::GetAuthoritiesRequest>,
    ) -> Result<Response<message::GetAuthoritiesResponse>, Status> {
        let (trust, now) = self.trust()?;
        let message::GetAuthoritiesRequest { render } = request.into_inner();
        let listed = work(render, move || {
            let authorities = trust.authorities(now).map_err(|error| failed(&error))?;
            Ok(Authorities::new(authorities, now))
        });
        listed.await.map(Response::new)
    }

    async fn rotate_authority(
        &self,
        request: Request<message::RotateAuthorityRequest>,
    ) -> Result<Response<message::RotateAuthorityResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::RotateAuthorityRequest { render } = request.into_inner();
        let rotated = work(render, move || {
            let authority = trust.rotate(now).map_err(|error| failed(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                fingerprint = authority.fingerprint,
                "made a new authority"
            );
            Ok(RotatedAuthority {
                authority: authority.into(),
            })
        });
        rotated.await.map(Response::new)
    }

    async fn retire_authority(
        &self,
        request: Request<message::RetireAuthorityRequest>,
    ) -> Result<Response<message::RetireAuthorityResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        let message::RetireAuthorityRequest {
            fingerprint,
            force,
            render,
        } = request.into_inner();
        let retired = work(render, move || {
            let authority = trust
                .retire(fingerprint.trim(), force, now)
                .map_err(|error| failed(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                fingerprint = authority.fingerprint,
                force,
                "retired an authority"
            );
            Ok(RetiredAuthority {
                authority: authority.into(),
            })
        });
        retired.await.map(Response::new)
    }

    async fn back_up_authority(
        &self,
        request: Request<message::BackUpAuthorityRequest>,
    ) -> Result<Response<message::BackUpAuthorityResponse>, Status> {
        let caller = Caller::of(&request)?;
        let (trust, now) = self.trust()?;
        on_disk(move || {
            let backup = trust.back_up(now).map_err(|error| failed(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                "gave a backup of the trust, with the key of the authority"
            );
            Ok(message::BackUpAuthorityResponse { backup })
        })
        .await
    }
}

fn client_role(role: i32) -> Result<ClientRole, Status> {
    Ok(match request::enumeration("role", role)? {
        message::Role::Unspecified => return Err(status::invalid("role", "missing")),
        message::Role::Reader => ClientRole::Reader,
        message::Role::Operator => ClientRole::Operator,
        message::Role::Admin => ClientRole::Admin,
    })
}
