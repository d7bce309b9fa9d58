"""The packages of the extra `client`. If they are missing, the error says what to install."""

try:
    import kubernetes.client
    import kubernetes.config
    import urllib3.exceptions
    from kubernetes.client.exceptions import ApiException
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "the task service needs more packages: pip install 'podrelay[client]'", name="kubernetes"
    ) from missing

__all__ = ["ApiException", "kubernetes", "urllib3"]
