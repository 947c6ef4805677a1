"""The one router: methods of one path are found together only if they share it."""

from ninja import Router

router = Router()
