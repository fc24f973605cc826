//! HTTP on loopback: `/mcp`, `/metrics`, `/healthz`, `/readyz`.
