"""The one router: methods of one path are found together only if they share it."""

from functools import partial

from ninja import Router

router = Router()


class Routes:
    """Adds routes to the router under one of the OpenAPI's tags."""

    def __init__(self, tag: str) -> None:
        self.get, self.post, self.delete = (
            partial(add, tags=[tag]) for add in (router.get, router.post, router.delete)
        )
