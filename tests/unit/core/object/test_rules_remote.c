#include "tests/unit/core/object/try_rules.h"

static const char *volume(struct arena *a, const char *source)
{
    return try_pod(a, "", "", arena_printf(a, ",'volumes':[{'name':'v',%s}]", source), NULL);
}

TEST(iscsi)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(volume(a, "'iscsi':{'targetPortal':'t','iqn':'iqn.2001-04.com.example:x','lun':0}"),
               "");
    EXPECT_STR(volume(a, "'iscsi':{'targetPortal':'t','iqn':'eui.0123456789abcdef','lun':256}"),
               "spec.volumes[0].iscsi.lun: Invalid value: 256: must be between 0 and 255, "
               "inclusive");
    EXPECT_STR(volume(a, "'iscsi':{'targetPortal':'t','iqn':'iqn.2001-04.com.example:','lun':1}"),
               "spec.volumes[0].iscsi.iqn: Invalid value: \"iqn.2001-04.com.example:\": must be "
               "valid format");
    EXPECT_STR(volume(a, "'iscsi':{'targetPortal':'t','iqn':'eui.0123456789abcdef','lun':1,"
                         "'initiatorName':'x'}"),
               "spec.volumes[0].iscsi.initiatorname: Invalid value: \"x\": must be valid format "
               "starting with "
               "iqn, eui, or naa");
    arena_free(a);
}

TEST(others)
{
    static const struct { const char *source, *want; } cases[] = {
        { "'quobyte':{'registry':'a:1,b:2','volume':'x'}", "" },
        { "'quobyte':{'registry':'a:1,b','volume':'x'}",
          "spec.volumes[0].quobyte.registry: Invalid value: \"a:1,b\": must be a host:port pair "
          "or multiple "
          "pairs separated by commas" },
        { "'flocker':{}",
          "spec.volumes[0].flocker: Required value: one of datasetName and datasetUUID is "
          "required" },
        { "'flexVolume':{'driver':'d','options':{'a.k8s.io/b':'c'}}",
          "spec.volumes[0].flexVolume.options[a.k8s.io/b]: Invalid value: \"a.k8s.io/b\": "
          "kubernetes.io and "
          "k8s.io namespaces are reserved" },
        { "'rbd':{'image':'i','monitors':[]}", "spec.volumes[0].rbd.monitors: Required value" },
        { "'cinder':{'volumeID':'v','secretRef':{}}",
          "spec.volumes[0].cinder.secretRef.name: Required value" },
        { "'azureDisk':{'diskName':'d','diskURI':'https://x','kind':'Shared'}", "" },
        { "'emptyDir':{},'cephfs':{'monitors':['m']},'downwardAPI':{}",
          "spec.volumes[0].cephFS: Forbidden: may not specify more than 1 volume type|"
          "spec.volumes[0].downwarAPI: Forbidden: may not specify more than 1 volume type" },
    };
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_STR(volume(a, cases[i].source), cases[i].want);
    arena_free(a);
}

TEST(claims)
{
    struct arena *a = arena_new(0);

    EXPECT_STR(volume(a,
                      "'ephemeral':{'volumeClaimTemplate':{'spec':{'accessModes':['ReadWriteOnce'],"
                         "'resources':{'requests':{'storage':'1Gi'}}}}}"), "");
    EXPECT_STR(volume(a,
                      "'ephemeral':{'volumeClaimTemplate':{'spec':{'accessModes':['x'],"
                      "'volumeMode':'y',"
                         "'resources':{'requests':{'storage':'0'}}}}}"),
               "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Unsupported "
               "value: \"x\": "
               "supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \"ReadWriteOnce\", "
               "\"ReadWriteOncePod\"|"
               "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Invalid "
               "value: \"0\": "
               "must be greater than "
               "zero|spec.volumes[0].ephemeral.volumeClaimTemplate.spec.volumeMode: "
               "Unsupported value: \"y\": supported values: \"Block\", \"Filesystem\"");
    EXPECT_STR(try_pod(a, "", "",
                       ",'volumes':[{'name':'v','ephemeral':{'volumeClaimTemplate':{'spec':{"
                       "'accessModes':['ReadWriteOnce'],"
                       "'resources':{'requests':{'storage':'1'}}}}}},"
                       "{'name':'w',"
                       "'persistentVolumeClaim':{'claimName':'p-v'}}]", NULL),
               "spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: \"p-v\": must not "
               "reference a "
               "PVC that gets created for an ephemeral volume");
    arena_free(a);
}

TEST(signers)
{
    static const struct { const char *name, *want; } cases[] = {
        { "example.com/a", "" },
        { "example.com",
          "must be a fully qualified domain and path of the form 'example.com/signer-name'" },
        { "com/a", "should be a domain with at least two segments separated by dots" },
        { "a..b/c", "validating label \"\": a lowercase RFC 1123 label" },
    };
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *got =
            volume(a, arena_printf(a, "'projected':{'sources':[{'clusterTrustBundle':{"
                                                 "'signerName':'%s','path':'p'}}]}",
                                                 cases[i].name));

        if (*cases[i].want)
            EXPECT(strstr(got, cases[i].want));
        else
            EXPECT_STR(got, "");
    }
    arena_free(a);
}
