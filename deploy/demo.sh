#!/usr/bin/env bash
# The seed's story on containers: API server, controllers and three node agents by docker compose, every claim checked
# from a container of the same network, and at the end the Ingress from this machine.
# Usage: deploy/demo.sh [--exit]   (--exit takes everything down at the end)
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(--project-name "${MINIPLANE_PROJECT:-miniplane}" --file deploy/compose.yaml)

from_here() {  # from_here: reach web through the Ingress' load balancer, at the port that its node has on this machine
  command -v curl >/dev/null || { echo "no curl here: the Ingress is not tried from this machine"; return 0; }
  local node where answer
  node=$("${compose[@]}" exec -T apiserver miniplane get service ingress -n kube-system -o yaml |
    sed -n 's|^ *miniplane.io/announced-by: *||p')
  where=$("${compose[@]}" port "$node" 80)
  answer=$(curl -sS --max-time 10 --retry 3 --retry-connrefused -H 'Host: web.example.com' "http://$where/hostname")
  [[ $answer == web-* ]] || { echo "web.example.com through $node at $where answered: $answer"; return 1; }
  echo "From this machine: curl -H 'Host: web.example.com' http://$where/hostname gives $answer"
}

docker image inspect miniplane >/dev/null 2>&1 || { echo "no image miniplane yet: run make image first"; exit 1; }
down() { "${compose[@]}" --profile demo down --volumes --timeout 15; }
[ "${1:-}" = --exit ] && trap down EXIT

none_died() {  # none_died: no program had to be started again on the way
  local restarts
  restarts=$(docker inspect --format '{{if .RestartCount}}{{.Name}} {{.RestartCount}} times{{end}}' $("${compose[@]}" ps -q))
  [ -z "$restarts" ] || { echo "started again: $restarts"; return 1; }
}

"${compose[@]}" up --detach
code=0
{ "${compose[@]}" run --rm demo && from_here && none_died; } || code=$?
"${compose[@]}" ps
if [ "$code" != 0 ]; then
  "${compose[@]}" logs --tail 40
elif [ "${1:-}" != --exit ]; then
  echo
  echo "The cluster is still up. Try:"
  echo "  ${compose[*]} exec apiserver miniplane get pods -A -o wide"
  echo "  ${compose[*]} exec apiserver miniplane trace outsider svc/api-service"
  echo "  ${compose[*]} --profile demo down --volumes"
fi
exit "$code"
