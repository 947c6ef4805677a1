"""What gunicorn does here whatever its command line says; the command line wins."""

worker_class = "dockmgr.web_worker.ArrivalWorker"
workers = 1
threads = 8
keepalive = 0  # a connection serves one request: an idle one costs nothing
control_socket_disable = True
limit_request_line = 8190
graceful_timeout = 30
