#!/bin/bash
# churn.test.sh: many pods made and deleted: mounts, namespaces, links, groups, addresses, rules, descriptors, zombies and
# files are exactly what they were. INRO_CHURN_PODS=2000 for a long run, INRO_CHURN_SEED to do one again.
. "$(dirname "$0")/lib.sh"
e2e_begin churn
pods=${INRO_CHURN_PODS:-200} seed=${INRO_CHURN_SEED:-$((RANDOM * 32768 + RANDOM))} wave=100
node_new n1 192.0.2.1
server_start n1
churn() { inside n1 python3 -B "$here/churn.py" "$work/n1/kubeconfig" "$1" "$2" "$seed"; }
look() { inside n1 python3 -B "$here/look.py" "$1" "$work/n1" "$cgroup_base-n1" "$(server_pid n1)"; }
# Twice the same, a moment apart: connections that nobody uses any more are closed after a while.
still() { one=$(look left); sleep 2; [ "$one" = "$(look left)" ] && echo "$one"; }
echo "  seed $seed"
check "a first wave" churn 20 20                # what is made once is made by now
before=$(eventually 40 still) memory=$(look memory)
churn "$pods" $wave > "$work/report" 2>&1
check "$pods pods come and go" [ $? = 0 ] || cat "$work/report"
cat "$work/report"
same() { diff <(echo "$before") <(look left); }
check "nothing is left, nothing is missing" eventually 60 same
echo "  PSS in KB before: $memory"
echo "  PSS in KB after:  $(look memory)"
e2e_end
