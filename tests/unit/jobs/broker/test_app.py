from eat_worker.jobs.broker.app import configuration, open_app


def test_only_json_is_accepted_and_sent():
    conf = open_app("redis://localhost").conf
    assert list(conf.accept_content) == ["json"]
    assert list(conf.result_accept_content) == ["json"]
    assert (conf.task_serializer, conf.event_serializer) == ("json", "json")


def test_a_hint_is_acknowledged_late_and_one_is_reserved_per_thread():
    conf = open_app("redis://localhost").conf
    assert conf.task_acks_late is True
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result is True
    assert conf.result_backend is None


def test_no_running_stage_is_delivered_again():
    conf = open_app("redis://localhost").conf
    assert conf.broker_transport_options["visibility_timeout"] == 3600
    assert conf.result_backend_transport_options["visibility_timeout"] == 3600
    assert conf.visibility_timeout == 3600


def test_a_dead_connection_is_noticed():
    options = configuration("redis+socket:///run/broker.sock")["broker_transport_options"]
    assert (options["health_check_interval"], options["socket_timeout"], options["socket_keepalive"]) == (10, 10, True)


def test_rabbitmq_gets_quorum_queues_and_confirms():
    conf = configuration("amqps://broker")
    assert conf["task_default_queue_type"] == "quorum"
    assert conf["task_create_missing_queue_type"] == "quorum"
    assert conf["broker_transport_options"] == {"confirm_publish": True}


def test_events_are_on_for_exporters():
    conf = open_app("redis://localhost").conf
    assert (conf.worker_send_task_events, conf.task_send_sent_event) == (True, True)


def test_an_application_does_not_become_the_current_one():
    from celery import current_app

    assert open_app("redis://localhost").main != current_app.main
