# The runtime alone, without torch; the model is mounted:
#   docker build --tag depthmask .
#   docker run --env DEPTHMASK_TOKEN --publish 8000:8000 --volume ./models/best:/models:ro depthmask
FROM python:3.11-slim
WORKDIR /opt/depthmask
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve]"
USER 65534
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["depthmask"]
CMD ["serve", "--model", "/models", "--host", "0.0.0.0"]
