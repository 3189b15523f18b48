#!/bin/sh
# Cargo calls this in place of rustc (see .cargo/config.toml): `$1` is rustc, the rest are its arguments.
# Sanitizers and coverage are unstable options, and cargo-fuzz passes `--cfg fuzzing` along with them: only
# then is the stable compiler allowed to use them. Every other build runs exactly as without this script.
case " $* " in
    *" --cfg fuzzing "* | *" -Zsanitizer="*) RUSTC_BOOTSTRAP=1 exec "$@" ;;
    *) exec "$@" ;;
esac
