#!/usr/bin/env bash
# Cargo calls this in place of rustc (see .cargo/config.toml): `$1` is rustc, the rest are its arguments.
# Sanitizers and coverage are unstable options, and cargo-fuzz passes `--cfg fuzzing` along with them: only
# then is the stable compiler allowed to use them. Every other build runs exactly as without this script.
# bash, not sh: dash drops environment variables whose names it cannot spell, such as the
# CARGO_BIN_EXE_reference-loader that tests are compiled with.
case " $* " in
    *" --cfg fuzzing "* | *" -Zsanitizer="*) RUSTC_BOOTSTRAP=1 exec "$@" ;;
    *) exec "$@" ;;
esac
