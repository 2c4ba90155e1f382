#include "tests/unit/core/object/try_rules.h"

#define APPARMOR "container.apparmor.security.beta.kubernetes.io/"

TEST(annotations)
{
    struct arena *a = arena_new(0);
    struct json *pod = NULL;

    EXPECT_STR(try_pod(a, "'" APPARMOR "c':'localhost/x'", "", "", &pod), "");
    EXPECT_STR(json_path_str(json_at(json_path(pod, "spec.containers"), 0),
                             "securityContext.appArmorProfile.localhostProfile"), "x");
    EXPECT_STR(try_pod(a, "'" APPARMOR "d':'bad'", "", "", NULL),
               "metadata.annotations[" APPARMOR "d]: Invalid value: \"d\": container not found|"
               "metadata.annotations[" APPARMOR "d]: Invalid value: \"bad\": invalid AppArmor "
                                                "profile name: "
               "\"bad\"");
    EXPECT_STR(try_pod(a, "'" APPARMOR "c':'unconfined'",
                       ",'securityContext':{'appArmorProfile':{'type':'RuntimeDefault'}}", "",
                       NULL),
               "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type "
               "in "
               "annotation and field must match");
    EXPECT_STR(try_pod(a, "'seccomp.security.alpha.kubernetes.io/pod':'localhost/../x'", "", "",
                       NULL),
               "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: Invalid value: "
               "\"../x\": must "
               "not contain '..'");
    arena_free(a);
}

TEST(windows_users)
{
    static const struct { const char *name, *why; } users[] = {
        { "a\\\\b", NULL },
        { "me", NULL },
        { "", "runAsUserName cannot be an empty string" },
        { "a\\\\b\\\\c", "runAsUserName cannot contain more than one backslash" },
        { "bad domain!-\\\\b", NULL },
        { "-much-too-long-for-netbios\\\\b",
          "runAsUserName's Domain doesn't match the NetBios nor the DNS format" },
        { "a\\\\", "runAsUserName's User cannot be empty" },
        { ". .", "runAsUserName's User cannot contain only periods or spaces" },
        { "a:b",
          "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]" },
    };
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        const char *got = try_pod(a, "", "",
                                  arena_printf(a, ",'securityContext':{'windowsOptions':{"
                                  "'runAsUserName':'%s'}}", users[i].name), NULL);

        if (users[i].why)
            EXPECT(strstr(got, users[i].why));
        else
            EXPECT_STR(got, "");
    }
    arena_free(a);
}

TEST(host_processes)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(try_pod(a, "", "", ",'hostNetwork':true,'securityContext':{'windowsOptions':{"
                       "'hostProcess':true}}", NULL), "");
    EXPECT_STR(try_pod(a, "", ",'securityContext':{'windowsOptions':{'hostProcess':false}}",
                       ",'securityContext':{'windowsOptions':{'hostProcess':true}}", NULL),
               "spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: "
               "false: pod "
               "hostProcess value must be identical if both are specified, was true");
    EXPECT_STR(try_pod(a, "", "", ",'securityContext':{'windowsOptions':{'hostProcess':true}}",
                       NULL),
               "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains "
               "any "
               "hostProcess containers");
    arena_free(a);
}

TEST(own_user_namespace)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(try_pod(a, "", "", ",'hostUsers':false,'hostPID':true,'hostIPC':true", NULL),
               "spec.HostPID: Forbidden: when `hostUsers` is false|"
               "spec.HostIPC: Forbidden: when `hostUsers` is false");
    arena_free(a);
}
