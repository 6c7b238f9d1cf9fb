"""Runs the real gdown against local servers: argv is drive URL, content URL, folder id, output folder."""

import sys

import gdown
from requests.adapters import HTTPAdapter

DRIVE, CONTENT, FOLDER, OUT = sys.argv[1:]
HOSTS = {"https://drive.google.com/": DRIVE, "https://drive.usercontent.google.com/": CONTENT}


class LocalAdapter(HTTPAdapter):
    def send(self, request, **options):
        for host, local in HOSTS.items():
            if request.url.startswith(host):
                request.url = local + request.url[len(host) :]
        return super().send(request, **options)


# The package exports functions of the same names over these modules.
for name in ("gdown.download", "gdown.download_folder"):
    module = sys.modules[name]
    make_session = module._get_session

    def get_local_session(make_session=make_session, **options):
        session, cookies = make_session(**options)
        for host in HOSTS:
            session.mount(host, LocalAdapter())
        return session, cookies

    module._get_session = get_local_session

gdown.download_folder(id=FOLDER, output=OUT, quiet=True, use_cookies=False)
