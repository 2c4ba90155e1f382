"""metrics_parse.py FILE [NAME{LABELS}]: a strict parser of Prometheus's text, version 0.0.4.

Every line must be a comment or a sample; a family's HELP and TYPE stand once, before its samples, and its
samples stand together; no series comes twice; a histogram's buckets rise, end at +Inf and agree with its
count. With a name, prints the sum of the samples whose name is that and whose labels include those given.
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"^({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)(?: (-?\d+))?$")


def labels_of(text):
    pairs = re.findall(LABEL, text or "")
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a label comes twice")
    return dict(pairs)


def family_of(name, types):
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix) and types.get(name[: -len(suffix)]) == "histogram":
            return name[: -len(suffix)]
    return name


def number(text):
    return float(text.replace("+Inf", "inf").replace("-Inf", "-inf").replace("NaN", "nan"))


def check_histograms(samples, types):
    series = {}
    for name, labels, value in samples:
        family = family_of(name, types)
        if types.get(family) != "histogram":
            continue
        key = (family, tuple(sorted((k, v) for k, v in labels.items() if k != "le")))
        one = series.setdefault(key, {"buckets": []})
        if name.endswith("_bucket"):
            one["buckets"].append((number(labels["le"]), value))
        else:
            one[name[len(family) + 1 :]] = value
    for key, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        if bounds != sorted(set(bounds)) or not bounds or bounds[-1] != float("inf"):
            raise ValueError(f"{key}: bounds {bounds}")
        if counts != sorted(counts) or counts[-1] != one.get("count") or "sum" not in one:
            raise ValueError(f"{key}: buckets {counts}, count {one.get('count')}")


def parse(text):
    types, helped, closed, current, samples, seen = {}, set(), set(), None, [], set()
    if not text.endswith("\n"):
        raise ValueError("no newline at the end")
    for at, line in enumerate(text[:-1].split("\n"), 1):
        comment = re.match(rf"^# (HELP|TYPE) ({NAME}) (.+)$", line)
        if comment:
            what, name, rest = comment.groups()
            if what == "HELP":
                if name in helped:
                    raise ValueError(f"line {at}: {name} is described twice")
                helped.add(name)
            else:
                if name in types or rest not in ("counter", "gauge", "histogram", "summary", "untyped"):
                    raise ValueError(f"line {at}: type of {name}")
                types[name] = rest
            continue
        found = SAMPLE.match(line)
        if not found:
            raise ValueError(f"line {at}: {line!r}")
        name, labels, value = found.group(1), labels_of(found.group(2)), number(found.group(7))
        family = family_of(name, types)
        if family not in types or family not in helped:
            raise ValueError(f"line {at}: {name} has no HELP or TYPE before it")
        if family != current:
            if family in closed:
                raise ValueError(f"line {at}: samples of {family} are scattered")
            closed.add(family)
            current = family
        key = (name, tuple(sorted(labels.items())))
        if key in seen:
            raise ValueError(f"line {at}: {key} comes twice")
        if types[family] == "counter" and not value >= 0:
            raise ValueError(f"line {at}: a counter below 0")
        seen.add(key)
        samples.append((name, labels, value))
    check_histograms(samples, types)
    return samples


def main():
    samples = parse(open(sys.argv[1]).read())
    if len(sys.argv) < 3:
        print(len(samples))
        return
    want = re.match(rf"^({NAME})(?:\{{(.*)\}})?$", sys.argv[2])
    labels = labels_of(want.group(2))
    total = sum(v for n, have, v in samples if n == want.group(1) and labels.items() <= have.items())
    print(f"{total:.15g}")


main()
