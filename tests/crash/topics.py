"""Deletes a topic, through librdkafka by ctypes: no other program of ours may."""

import ctypes

LIMIT_MS = 30_000


def _library():
    library = ctypes.CDLL("librdkafka.so.1")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    for name, result, arguments in (
            ("conf_new", pointer, []),
            ("conf_set", number, [pointer, text, text, text, ctypes.c_size_t]),
            ("new", pointer, [number, pointer, text, ctypes.c_size_t]),
            ("destroy", None, [pointer]),
            ("queue_new", pointer, [pointer]),
            ("queue_destroy", None, [pointer]),
            ("queue_poll", pointer, [pointer, number]),
            ("DeleteTopic_new", pointer, [text]),
            ("DeleteTopic_destroy", None, [pointer]),
            ("DeleteTopics", None, [pointer, ctypes.POINTER(pointer), ctypes.c_size_t, pointer,
                                    pointer]),
            ("event_error", number, [pointer]),
            ("event_destroy", None, [pointer]),
            ("event_DeleteTopics_result", pointer, [pointer]),
            ("DeleteTopics_result_topics", ctypes.POINTER(pointer),
             [pointer, ctypes.POINTER(ctypes.c_size_t)]),
            ("topic_result_error", number, [pointer]),
            ("err2str", text, [number])):
        function = getattr(library, "rd_kafka_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def delete(bootstrap, topic, properties=()):
    """OSError, with Kafka's words, if it is not done. `properties` are name=value."""
    kafka = _library()
    conf = kafka.rd_kafka_conf_new()
    error = ctypes.create_string_buffer(512)
    for entry in (f"bootstrap.servers={bootstrap}", "log_level=2", *properties):
        name, _, value = entry.partition("=")
        if kafka.rd_kafka_conf_set(conf, name.encode(), value.encode(), error, 512) != 0:
            raise OSError(error.value.decode())
    client = kafka.rd_kafka_new(0, conf, error, 512)
    if not client:
        raise OSError(error.value.decode())
    queue = kafka.rd_kafka_queue_new(client)
    wanted = (ctypes.c_void_p * 1)(kafka.rd_kafka_DeleteTopic_new(topic.encode()))
    event = None
    try:
        kafka.rd_kafka_DeleteTopics(client, wanted, 1, None, queue)
        event = kafka.rd_kafka_queue_poll(queue, LIMIT_MS)
        if not event:
            raise OSError(f"no answer within {LIMIT_MS // 1000} s")
        code = kafka.rd_kafka_event_error(event)
        if code == 0:
            count = ctypes.c_size_t()
            answers = kafka.rd_kafka_DeleteTopics_result_topics(
                kafka.rd_kafka_event_DeleteTopics_result(event), ctypes.byref(count))
            code = kafka.rd_kafka_topic_result_error(answers[0])
        if code != 0:
            raise OSError(kafka.rd_kafka_err2str(code).decode())
    finally:
        if event:
            kafka.rd_kafka_event_destroy(event)
        kafka.rd_kafka_DeleteTopic_destroy(wanted[0])
        kafka.rd_kafka_queue_destroy(queue)
        kafka.rd_kafka_destroy(client)
