#!/bin/bash
# story-unstable.test.sh: the same story with the kubectl of unstable, which is of our own release.
KUBECTL_SUITE=sid
. "$(dirname "$0")/story.test.sh"
