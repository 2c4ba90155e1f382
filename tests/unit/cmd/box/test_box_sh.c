/* Scripts with what a POSIX shell prints for them. */
#include <sys/stat.h>

#include "tests/unit/cmd/box/box_case.h"

static const struct { const char *script, *out; int status; } cases[] = {
    { "echo hello", "hello\n", 0 },
    { "echo a  b   'c  d' \"e  f\"", "a b c  d e  f\n", 0 },
    { "x=1; y=\"$x 2\"; echo $y \"$y\" '$y' ${x}3", "1 2 1 2 $y 13\n", 0 },
    { "false; echo $?; true; echo $?", "1\n0\n", 0 },
    { "exit 7", "", 7 },
    { "false && echo no || echo yes", "yes\n", 0 },
    { "! false && echo ok", "ok\n", 0 },
    { "echo a; echo b & wait; echo c", "a\nb\nc\n", 0 },
    { "echo one | cat | cat", "one\n", 0 },
    { "printf '%s-%d\\n' a 1 b 2", "a-1\nb-2\n", 0 },
    { "echo ${x:-d} ${x-e} ${x:=f} $x ${x:+g} ${x+h} ${#x}", "d e f f g h 1\n", 0 },
    { "f=/a/b/c.tar.gz; echo ${f##*/} ${f#*/} ${f%.*} ${f%%.*}", "c.tar.gz a/b/c.tar.gz /a/b/c.tar /a/b/c\n", 0 },
    { "for i in 1 2 3; do echo $i; done", "1\n2\n3\n", 0 },
    { "for i in a b c d; do [ $i = b ] && continue; [ $i = d ] && break; echo $i; done", "a\nc\n", 0 },
    { "i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo $i; done", "1\n2\n3\n", 0 },
    { "i=0; until [ $i -ge 2 ]; do i=$((i+1)); done; echo $i", "2\n", 0 },
    { "if [ -d / ]; then echo dir; else echo none; fi", "dir\n", 0 },
    { "if false; then echo 1; elif true; then echo 2; else echo 3; fi", "2\n", 0 },
    { "case abc in x) echo x;; a*|b) echo a;; *) echo other;; esac", "a\n", 0 },
    { "case '*' in \\*) echo star;; esac", "star\n", 0 },
    { "f() { echo \"$1:$#\"; return 3; }; f a b; echo $?", "a:2\n3\n", 0 },
    { "f() { x=in; }; x=out; f; echo $x; (x=sub; echo $x); echo $x", "in\nsub\nin\n", 0 },
    { "{ echo a; echo b; } | wc -l", "2\n", 0 },
    { "echo $(echo a; echo b) \"$(echo a; echo b)\" `echo c`", "a b a\nb c\n", 0 },
    { "echo $((1+2*3)) $(( (1+2)*3 )) $((7/2)) $((7%3)) $((1<2&&2>1)) $((x=5)) $x", "7 9 3 1 1 5 5\n", 0 },
    { "echo $((1 ? 2 : 3)) $((!0)) $((~0)) $((1<<4)) $((-3))", "2 1 -1 16 -3\n", 0 },
    { "set -- a 'b c' d; echo $# $2; for x in \"$@\"; do echo \"<$x>\"; done", "3 b c\n<a>\n<b c>\n<d>\n", 0 },
    { "set -- a 'b c'; for x in $@; do echo $x; done; echo \"$*\"; shift; echo $1", "a\nb\nc\na b c\nb c\n", 0 },
    { "set --; for x in \"$@\"; do echo no; done; echo none", "none\n", 0 },
    { "x='a b'; set -- $x; echo $#; set -- \"$x\"; echo $#; set -- \"\"; echo $#", "2\n1\n1\n", 0 },
    { "cat <<E\na $((1+1)) $HOME_X\\$x\nE\necho after", "a 2 $x\nafter\n", 0 },
    { "cat <<'E'\n$x `y`\nE", "$x `y`\n", 0 },
    { "cat <<-E\n\t\ttabs\n\tE", "tabs\n", 0 },
    { "echo err >&2; echo out", "out\n", 0 },
    { "{ echo err >&2; echo out; } 2>&1", "err\nout\n", 0 },
    { "echo a 2>/dev/null >/dev/stdout", "a\n", 0 },
    { "nosuchcommand 2>/dev/null; echo $?", "127\n", 0 },
    { "x=5 sh -c 'echo $x'; echo [$x]", "5\n[]\n", 0 },
    { "export A=1; sh -c 'echo $A'; unset A; echo [${A-gone}]", "1\n[gone]\n", 0 },
    { "echo a b c | { read x y; echo $y-$x; }", "b c-a\n", 0 },
    { "printf 'l1\\nl2\\n' | while read l; do echo \"[$l]\"; done", "[l1]\n[l2]\n", 0 },
    { "IFS=:; x=a:b:c; set -- $x; echo $# $1", "3 a\n", 0 },
    { "set -e; false; echo no", "", 1 },
    { "set -e; false || true; if false; then :; fi; ! true; echo yes", "yes\n", 0 },
    { "set -u; echo $nope", "", 2 },
    { "trap 'echo bye' EXIT; echo hi", "hi\nbye\n", 0 },
    { "trap 'echo got' TERM; kill -TERM $$; echo on", "got\non\n", 0 },
    { "eval 'echo a; echo b'", "a\nb\n", 0 },
    { "echo 'it'\\''s' \"a\\\"b\" a\\ b", "it's a\"b a b\n", 0 },
    { "echo \"a'b\" 'a\"b' \"$(echo \"x y\")\"", "a'b a\"b x y\n", 0 },
    { "# comment\necho a # more\necho b#c", "a\nb#c\n", 0 },
    { "echo a \\\n b", "a b\n", 0 },
    { "test 1 -eq 1 -a ! -e /nope && echo t", "t\n", 0 },
    { "[ abc != abd ] && [ -n x ] && [ -z '' ] && echo t", "t\n", 0 },
    { "command -v echo >/dev/null && echo known", "known\n", 0 },
    { "(exit 4); echo $?", "4\n", 0 },
    { "true | false; echo $?", "1\n", 0 },
    { "sh -c 'kill -KILL $$'; echo $?", "137\n", 0 },
    { "echo ~ | grep -c /", "1\n", 0 },
    { "x=\"a*\"; echo \"$x\"", "a*\n", 0 },
    { "readonly r=1; echo $r; type cd >/dev/null; echo $?", "1\n0\n", 0 },
    { "f() { for i in 1 2; do for j in 1 2; do [ $j = 2 ] && continue 2; echo $i$j; done; done; }; f", "11\n21\n", 0 },
    { "exec echo replaced; echo no", "replaced\n", 0 },
    { "if", "", 2 },
    { "echo 'unterminated", "", 2 },
    { "echo )", "", 2 },
    { "while true; do break; done; echo end", "end\n", 0 },
    { "a=1 b=2; echo $a$b; c=$a$b; echo $c", "12\n12\n", 0 },
    { "echo ${12}x$10", "x0\n", 0 },
    { "x=$(false); echo $?", "1\n", 0 },
    { "echo hi > /nonexistent/x; echo $?", "1\n", 0 },
    { "seq 3 | tail -n 1; seq 5 | head -n 2; seq 4 | tail -n +3", "3\n1\n2\n3\n4\n", 0 },
    { "echo abc | tail -c +2; printf 'a b\\nc' | wc", "bc\n      1       3       5\n", 0 },
    { "printf 'x\\ny\\nxy\\n' | grep -n x; echo q | grep -q z; echo $?", "1:x\n3:xy\n1\n", 0 },
};

TEST(scripts)
{
    static struct box_said said;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box_case(&said, (const char *[]){ "sh", "-c", cases[i].script, NULL }, NULL, 0, false);
        if (strcmp(said.text, cases[i].out) != 0 || said.status != cases[i].status)
            test_fail(__FILE__, __LINE__, "%s\n  got %d \"%s\"\n  want %d \"%s\"", cases[i].script,
                      said.status, said.text, cases[i].status, cases[i].out);
    }
}

TEST(script_on_standard_input)
{
    static struct box_said said;
    static const char text[] = "echo a\nif true\nthen echo b\nfi\nread x\nline for read\necho \"<$x>\"\nexit 3\n";

    box_case(&said, (const char *[]){ "sh", NULL }, text, sizeof(text) - 1, false);
    EXPECT_STR(said.text, "a\nb\n<line for read>\n");
    EXPECT_EQ(said.status, 3);
}

TEST(patterns_over_files)
{
    static struct box_said said;
    char script[1024];

    snprintf(script, sizeof(script), "cd %s; touch a1 a2 b1 .h; echo a* '*' ?1 [ab]2 z*; mkdir d; touch d/x; echo */x",
             test_tmpdir());
    mkdir(test_tmpdir(), 0755);
    box_case(&said, (const char *[]){ "sh", "-c", script, NULL }, NULL, 0, true);
    EXPECT_STR(said.text, "a1 a2 * a1 b1 a2 z*\nd/x\n");
}

TEST(arguments_and_script_file)
{
    static struct box_said said;
    char path[256], script[1024];

    snprintf(path, sizeof(path), "%s/s.sh", test_tmpdir());
    snprintf(script, sizeof(script), "echo 'echo $0 $1' > %s; sh %s arg", path, path);
    box_case(&said, (const char *[]){ "sh", "-c", script, NULL }, NULL, 0, true);
    snprintf(script, sizeof(script), "%s arg\n", path);
    EXPECT_STR(said.text, script);
    box_case(&said, (const char *[]){ "sh", "-c", "echo $0 $1 $#", "name", "x", NULL }, NULL, 0, true);
    EXPECT_STR(said.text, "name x 1\n");
}

TEST(hostile_texts_end)
{
    static const char *const texts[] = { "f() { f; }; f", "$((((((((((", "${x:-${y:-${z", "x=`", "((((((((",
                                         "<<<<", ">", "case x in", "${}", "$(", "\"$(\"" };
    static struct box_said said;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        box_case(&said, (const char *[]){ "sh", "-c", texts[i], NULL }, NULL, 0, true);
        if (said.status == 0 || said.status > 128)
            test_fail(__FILE__, __LINE__, "%s: status %d: %s", texts[i], said.status, said.text);
    }
}
