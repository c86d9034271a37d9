//! Empty on purpose: the models are in `tests/`, and exist only under `--cfg loom`.
