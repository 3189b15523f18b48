//! The native machine: a zygote process that forks for each setup.
