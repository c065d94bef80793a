#!/usr/bin/env bash
# The seed's story on containers: API server, controllers and three node agents by docker compose, every claim checked.
# Usage: deploy/demo.sh [--exit]   (--exit takes everything down at the end)
set -euo pipefail
cd "$(dirname "$0")"

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(--project-name "${MINIPLANE_PROJECT:-miniplane}" --file compose.yaml)

docker image inspect miniplane >/dev/null 2>&1 || { echo "no image miniplane yet: run make image first"; exit 1; }
down() { "${compose[@]}" --profile demo down --volumes --timeout 15; }
[ "${1:-}" = --exit ] && trap down EXIT

"${compose[@]}" up --detach
code=0
"${compose[@]}" run --rm demo || code=$?
"${compose[@]}" ps
if [ "$code" = 0 ] && [ "${1:-}" != --exit ]; then
  echo
  echo "The cluster is still up. Try:"
  echo "  ${compose[*]} exec apiserver miniplane get pods -A -o wide"
  echo "  curl http://127.0.0.1:${MINIPLANE_NODE_PORT:-30080}/hostname      (node-1's node port; api-policy blocks it by now)"
  echo "  ${compose[*]} --profile demo down --volumes"
fi
exit "$code"
