# lint.sh: the house rules; sourced by tests/run.sh. Sources are read by lint.lua, symbols by symbols.lua,
# and the compiler says whether each header stands alone.
run_lint() {
    local status=0 o=out/obj/$host
    lua5.4 tests/lint/lint.lua "$@" || status=1
    build '' rooms headers || status=1
    find $o/cmd $o/core $o/runtime $o/net $o/store $o/plugins -name '*.o' -print0 2> /dev/null |
        lint_current_objects | xargs -0 objdump -t 2> /dev/null |
        lua5.4 tests/lint/symbols.lua $o || status=1
    lua5.4 tests/lint/lint_test.lua || status=1
    return $status
}

# Of the objects on standard input, those whose source is still there.
lint_current_objects() {
    local object source
    while IFS= read -r -d '' object; do
        source=${object#"out/obj/$host/"}
        [ ! -e "${source%.o}.c" ] || printf '%s\0' "$object"
    done
}
