# The suite with R and everything that its tests need:
#     docker build -t scvi-reproduction .
#     docker run --rm scvi-reproduction make reproduce
#     docker run --rm -it -v "$PWD/results:/suite/results" scvi-reproduction bash
# Not tested as an image: there was no Docker where this was written. Its steps are those of `make test` on Debian 12,
# which is tested. The image is of that Debian because r_env/install.sh installs R from its packages.
FROM python:3.11-slim-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends build-essential git make && rm -rf /var/lib/apt/lists/*
WORKDIR /suite
COPY . .
RUN make .venv/.dev R=no
# What is missing of R is said, and the rows concerned are skipped.
RUN make r && rm -rf /var/lib/apt/lists/*
ENV PATH="/suite/.venv/bin:$PATH"
CMD ["make", "quick"]
