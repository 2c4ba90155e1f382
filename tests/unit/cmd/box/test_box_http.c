/* The web server and those who ask it, over loopback. */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/cmd/box/box_case.h"

static char port_text[16];

static pid_t serve(const char *delay)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pid_t pid;

    EXPECT(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0);
    EXPECT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    close(fd);
    snprintf(port_text, sizeof(port_text), "%d", ntohs(a.sin_port));
    pid = fork();
    if (pid == 0)
        _exit(box_main(5, (char *[]){ "http", "--port", port_text, "--delay", (char *)delay, NULL }));
    for (int i = 0; i < 200; i++) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
            close(fd);
            return pid;
        }
        close(fd);
        usleep(10000);
    }
    test_fail(__FILE__, __LINE__, "it does not listen");
}

static struct box_said *fetch(const char *path, const char *option, const char *value)
{
    static struct box_said said;
    char url[256];

    snprintf(url, sizeof(url), "http://127.0.0.1:%s%s", port_text, path);
    box_case(&said, option ? (const char *[]){ "fetch", option, value, url, NULL }
                           : (const char *[]){ "fetch", url, NULL }, NULL, 0, true);
    return &said;
}

TEST(pages)
{
    pid_t pid = serve("0");
    char name[HOST_NAME_MAX + 2] = "";
    struct box_said *said;
    int status;

    gethostname(name, HOST_NAME_MAX);
    strcat(name, "\n");
    said = fetch("/", NULL, NULL);
    EXPECT_STR(said->text, name);
    EXPECT_EQ(said->status, 0);
    EXPECT_STR(fetch("/healthz", NULL, NULL)->text, "ok\n");
    said = fetch("/echo?x=1", "-d", "body text");
    EXPECT(strstr(said->text, "POST /echo?x=1 HTTP/1.1\r\n"));
    EXPECT(strstr(said->text, "Content-Length: 9\r\n"));
    EXPECT(strstr(said->text, "\r\n\r\nbody text"));
    EXPECT(strstr(fetch("/echo", "-H", "X-Test: yes")->text, "X-Test: yes\r\n"));
    EXPECT(strstr(fetch("/env", NULL, NULL)->text, "PATH="));
    EXPECT_EQ(fetch("/nope", NULL, NULL)->status, 1);
    EXPECT(strstr(fetch("/status/503", NULL, NULL)->text, "503"));
    EXPECT_EQ(fetch("/delay/5s", "--timeout", "100ms")->status, 1);
    kill(pid, SIGTERM);
    EXPECT(waitpid(pid, &status, 0) == pid);
    EXPECT_EQ(WEXITSTATUS(status), 143);
}

TEST(one_connection_many_requests)
{
    static const char two[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n"
                              "Connection: close\r\n\r\n";
    pid_t pid = serve("20");
    static struct box_said said;
    char *second;

    box_case(&said, (const char *[]){ "nc", "127.0.0.1", port_text, NULL }, two, sizeof(two) - 1, true);
    second = strstr(said.text + 1, "HTTP/1.1 200");
    EXPECT(second && strstr(second, "Connection: close") && str_ends(said.text, "ok\n"));
    box_case(&said, (const char *[]){ "nc", "127.0.0.1", port_text, NULL }, "nonsense\r\n\r\n", 12, true);
    EXPECT(strstr(said.text, "400 Bad Request"));
    kill(pid, SIGKILL);
}

TEST(nobody_there)
{
    snprintf(port_text, sizeof(port_text), "1");
    EXPECT_EQ(fetch("/", NULL, NULL)->status, 1);
    static struct box_said said;

    box_case(&said, (const char *[]){ "fetch", "https://x/", NULL }, NULL, 0, true);
    EXPECT_EQ(said.status, 1);
    box_case(&said, (const char *[]){ "fetch", NULL }, NULL, 0, true);
    EXPECT_EQ(said.status, 2);
}
