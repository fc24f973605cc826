//! The command line, a client of the gRPC API.
