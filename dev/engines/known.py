"""What kinds of engines are known not to keep, test by test, and why."""

from __future__ import annotations

from collections.abc import Mapping

_NO_FOREIGN_IMAGE = {
    "test_each_kind_of_image_ends_as_it_should": (
        "none of it: the test can't rewrite what newer engines save into an image for another processor"
    )
}
KNOWN: Mapping[str, Mapping[str, str]] = {
    "newest": _NO_FOREIGN_IMAGE,
    "newest-containerd": _NO_FOREIGN_IMAGE,
    "podman": {
        "test_an_engine_says_who_it_is_and_stays_the_same": (
            "it calls itself something else each time: another engine at its address is not noticed"
        ),
        "test_a_created_container_is_what_its_spec_says_and_does_not_run": (
            "a port it may choose is chosen when a container is made, not when it is started"
        ),
        "test_options_come_back_as_they_were_asked_for": "it has no log driver called local",
        "test_a_mount_of_what_the_host_does_not_have_is_refused_as_missing_data": (
            "it makes a folder of the host that is missing, empty"
        ),
        "test_a_network_is_found_by_its_name_alone_and_made_once": (
            "it does not take Docker's options of a bridge: containers on one reach each other"
        ),
        "test_a_stopped_container_joins_the_network_that_came_in_the_place_of_its_own": (
            "it knows networks by name: a container starts in the new one without having joined it"
        ),
        "test_the_list_holds_all_containers_stopped_ones_included_and_tells_ours_by_their_label": (
            "its list says `default` of a network where it says `bridge` of the container itself"
        ),
        "test_a_container_that_takes_longer_than_anybody_waits_has_its_name_and_comes": (
            "it copies an image's files into a volume when a container starts, so making one takes no time"
        ),
        "test_limits_and_safety_settings_reach_the_engine": "it does not tell the options of a log",
        "test_one_sweep_heals_what_can_be_healed_and_gives_up_on_the_rest": (
            "all is healed; the environment holds the container's own id, so one made anew differs"
        ),
        "test_an_engine_that_goes_away_is_nobodys_failure": (
            "nobody is blamed; containers live on without it, so that customers stay healthy and not unknown"
        ),
        "test_a_container_made_anew_is_the_same[a range of ports]": (
            "it publishes no port on one of a range, so that there is no such container to adopt"
        ),
        "test_changes_made_by_hand_are_named_field_by_field": (
            "it sets the restart policy to none when a container's limits are changed, which is named as well"
        ),
        "test_a_line_of_100_megabytes_is_read_in_bounded_memory": (
            "it gathers a line of 100 MB for longer than a call may take before it hands on the first byte"
        ),
        "test_a_crash_loop_shows_in_restart_count_and_exit_code": "it does not tell how often it restarted",
    },
}
