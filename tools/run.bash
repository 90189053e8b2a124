#!/usr/bin/env bash
# Run a command in the environment of this repository: tools/run.bash python -m pytest
set -eo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/env.bash"
cd -- "$COSMOS_POLICY_ROOT"
exec "$@"
