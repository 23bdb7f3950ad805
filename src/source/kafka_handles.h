// Owning pointers to librdkafka's objects, so that no path forgets to give one back.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

namespace clicktally {

template <auto destroy>
struct KafkaDestroy {
  template <typename Object>
  void operator()(Object* object) const {
    destroy(object);
  }
};

using KafkaConf = std::unique_ptr<rd_kafka_conf_t, KafkaDestroy<rd_kafka_conf_destroy>>;
using KafkaTopic = std::unique_ptr<rd_kafka_topic_t, KafkaDestroy<rd_kafka_topic_destroy>>;
using KafkaQueue = std::unique_ptr<rd_kafka_queue_t, KafkaDestroy<rd_kafka_queue_destroy>>;
using KafkaMessage = std::unique_ptr<rd_kafka_message_t, KafkaDestroy<rd_kafka_message_destroy>>;
using KafkaError = std::unique_ptr<rd_kafka_error_t, KafkaDestroy<rd_kafka_error_destroy>>;
using KafkaPartitionList = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                           KafkaDestroy<rd_kafka_topic_partition_list_destroy>>;

}  // namespace clicktally
