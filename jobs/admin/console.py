"""What all pages of the console share: a permission to open them, and no page of the stock admin's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_http_methods

from jobs.admin import access, live, shell
from jobs.broker.connection import impatient
from jobs.policy import storable

View = Callable[..., HttpResponseBase]


class ConsoleAdmin(admin.ModelAdmin):
    """Pages about one model, none of them the stock ones.

    `permission` opens them all. A subclass lists its pages in `routes`; each view may be asked for by
    GET and HEAD, and by POST where it is an action.
    """

    permission = access.VIEW_CONSOLE

    def routes(self) -> Iterable[tuple[str, View, str, bool]]:
        """(route, view, name, whether it takes POST) of each page."""
        raise NotImplementedError

    def get_urls(self) -> list[URLPattern]:
        model = self.opts.model_name
        return [
            path(route, self._guarded(view, acts=acts), name=f"jobs_{model}_{name}")
            for route, view, name, acts in self.routes()
        ]

    def page(self, request: HttpRequest, template: str, *, title: str, **context: Any) -> HttpResponse:
        """A page of the console."""
        about = {**shell.context(request, self.admin_site), "title": title, "opts": self.opts}
        return render(request, f"admin/jobs/{template}", {**about, **context})

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access.may(request, self.permission)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return access.may(request, self.permission)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def _guarded(self, view: View, *, acts: bool) -> View:
        methods = ["GET", "HEAD", "POST"] if acts else ["GET", "HEAD"]

        def guarded(request: HttpRequest, **captured: Any) -> HttpResponseBase:
            # An action looks at its own permission first, so that its refusal is recorded.
            opens = access.may(request, self.permission) or (acts and request.method == "POST")
            if not opens:
                return access.refuse(request, self.permission)
            # A verb takes the time that it needs; who only looks does not wait for a server that is silent.
            if request.method != "POST":
                with impatient():
                    answer = view(request, **captured)
                    # A file goes as it is.
                    return live.answer(request, answer) if isinstance(answer, HttpResponse) else answer
            try:
                return view(request, **captured)
            finally:
                shell.forget()

        update_wrapper(guarded, view)
        return self.admin_site.admin_view(require_http_methods(methods)(without_nul(guarded)))


def without_nul(view: View) -> View:
    """The view, asked without NUL characters and halves of characters: no text in a row holds one, and looking for one
    is an error."""

    def asked(request: HttpRequest, **captured: Any) -> HttpResponseBase:
        # The stubs take what a view is given for unchangeable.
        request.GET, request.POST = _cleaned(request.GET), _cleaned(request.POST)  # type: ignore[assignment]
        texts = {name: _clean(value) for name, value in captured.items() if isinstance(value, str)}
        return view(request, **{**captured, **texts})

    return update_wrapper(asked, view)


def _cleaned(asked: QueryDict) -> QueryDict:
    clean = asked.copy()
    for name, values in asked.lists():
        clean.setlist(name, [_clean(value) for value in values])
    return clean


def _clean(text: str) -> str:
    return storable.text(text)
