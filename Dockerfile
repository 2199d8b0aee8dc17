# ruleforge with its kernels compiled: the scheduler, the workers and the runner of docker-compose.yml.
FROM python:3.11-slim

RUN useradd --create-home ruleforge
WORKDIR /opt/ruleforge

COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ruleforge ruleforge
COPY tasks tasks
COPY workers workers
COPY api api
RUN pip install --no-cache-dir --constraint constraints.txt '.[postgresql]'

# The kernels are cached in the home of whoever runs them.
USER ruleforge
WORKDIR /home/ruleforge
RUN python -m tasks.warm_up

CMD ["ruleforge", "--help"]
