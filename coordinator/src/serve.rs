//! The running coordinator process: links, evaluation, surfaces.
