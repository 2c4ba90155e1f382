"""kube.py: a client of the API for tests, by a kubeconfig, over one connection that is made anew when it breaks."""
import base64
import http.client
import json
import ssl
import tempfile
import time
import urllib.parse

import yaml


class Answer(Exception):
    """A status that is no success."""

    def __init__(self, status, text):
        super().__init__(f"{status} {text[:200]}")
        self.status = status


class Kube:
    def __init__(self, path):
        with open(path) as f:
            config = yaml.safe_load(f)
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=ca)
        with tempfile.NamedTemporaryFile("wb", suffix=".pem") as f:
            f.write(base64.b64decode(user["client-certificate-data"]))
            f.write(base64.b64decode(user["client-key-data"]))
            f.flush()
            self.context.load_cert_chain(f.name)
        self.url = urllib.parse.urlsplit(cluster["server"])
        self.conn = None

    def ask(self, method, path, body=None, text=False):
        """One try. The answer's object, or its text; raises Answer, or OSError and http.client's own when nobody answers."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            if not self.conn:
                self.conn = http.client.HTTPSConnection(self.url.hostname, self.url.port, context=self.context, timeout=10)
            self.conn.request(method, path, body and json.dumps(body), headers)
            answer = self.conn.getresponse()
            data = answer.read().decode()
        except Exception:
            self.conn = None
            raise
        if answer.status >= 300:
            raise Answer(answer.status, data)
        return data if text else json.loads(data)

    def insist(self, method, path, body=None, text=False, seconds=30, ok=()):
        """Until somebody answers; None when the answer is a status of ok, such as 409 of a create that had gone through."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.ask(method, path, body, text)
            except Answer as a:
                if a.status in ok:
                    return None
                if a.status < 500 and a.status != 429 or time.monotonic() > end:
                    raise
            except (OSError, http.client.HTTPException):
                if time.monotonic() > end:
                    raise
            time.sleep(0.01)
