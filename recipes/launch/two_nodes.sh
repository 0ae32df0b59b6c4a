#!/usr/bin/env bash
# Two nodes train (FSDP2, 8 GPUs each), a third generates with vLLM. Start it on every node; all see this folder.
#
#   on the vLLM node          recipes/launch/two_nodes.sh serve Qwen/Qwen2.5-7B-Instruct
#   on the training nodes     MAIN=node0 SERVER=node2 recipes/launch/two_nodes.sh train 0 --config FILE.yaml
#                             MAIN=node0 SERVER=node2 recipes/launch/two_nodes.sh train 1 --config FILE.yaml
#
# MAIN is the address of training node 0, SERVER that of the vLLM node. What follows the node's number goes to
# recipes/grpo.py. GPUS (8) is the number of GPUs a node; the server splits the model over TENSOR_PARALLEL (1) of
# them and runs GPUS / TENSOR_PARALLEL copies. Ports 8000 and 51216 of the vLLM node and 29500 of MAIN must be open.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly GPUS="${GPUS:-8}" TENSOR_PARALLEL="${TENSOR_PARALLEL:-1}"

usage() {
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

case "${1:-}" in
serve)
    [[ $# -eq 2 ]] || usage
    exec trl vllm-serve --model "$2" --tensor_parallel_size "$TENSOR_PARALLEL" \
        --data_parallel_size "$((GPUS / TENSOR_PARALLEL))" --host 0.0.0.0 --port 8000
    ;;
train)
    [[ $# -ge 3 && "$2" =~ ^[01]$ && -n "${MAIN:-}" && -n "${SERVER:-}" ]] || usage
    exec accelerate launch --config_file recipes/accelerate/two_nodes.yaml --machine_rank "$2" \
        --main_process_ip "$MAIN" --num_processes "$((2 * GPUS))" \
        recipes/grpo.py "${@:3}" --use_vllm true --vllm_mode server --vllm_server_host "$SERVER"
    ;;
*) usage ;;
esac
