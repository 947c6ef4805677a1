"""What fields of forms are called, and what they take, where the column's name does not say it."""

from __future__ import annotations


class HostWords:
    """As a form's `Meta` has them."""

    labels = {
        "docker_url": "Docker URL",
        "insecure": "Without TLS",
        "bind": "Publish on",
    }
    help_texts = {
        "docker_url": "unix:///…, tcp://host:2376 or ssh://user@host. "
        "Empty: the engine that DOCKER_HOST of the workers names.",
        "insecure": "Needed for tcp:// without TLS: whoever reaches that port rules the host.",
        "address": "Where the ports of its instances are asked.",
        "bind": "The host's IP address where ports are published. Empty: the address; if that is a name, "
        "every address of the host.",
        "max_instances": "Empty: as many as there is room for.",
        "cordoned": "It takes no new instances.",
        "overcommit": "1 promises no more memory than there is.",
        "network": "The bridge its customers share; it is made where it is missing.",
    }


class PlanWords:
    """The same of a plan."""

    labels = {
        "cpus": "CPUs",
        "pids": "Processes",
        "public_url": "Public URL",
        "start_grace": "Start grace (seconds)",
        "stop_timeout": "Stop timeout (seconds)",
    }
    help_texts = {
        "image": "Such as registry.example.com/agent:2.1.",
        "pids": "Empty: 512.",
        "data_path": "Where the data volume is mounted. Empty: there is none.",
        "health_expect": "json_ok: JSON with ok: true. http_2xx: any status 2xx. auto: any status 2xx, "
        "unless its JSON says otherwise.",
        "start_grace": "How long a container that starts may fail.",
        "public_url": "Such as https://{subdomain}: where customers get through.",
        "update_strategy": "recreate: the old container stops first. start_first: both run for a moment; "
        "only for plans that keep no data.",
    }


class ChannelWords:
    """The same of a channel."""

    labels = {
        "min_level": "Least level",
        "escalate_after": "Escalate after (seconds)",
        "timezone": "Time zone",
    }
    help_texts = {
        "incidents": "Told of what is wrong.",
        "operations": "Told of changes that end.",
        "escalate_after": "A second line: told only of what is critical and not acknowledged for so long.",
        "quiet_from": "From then only what is critical is told.",
    }
