/* A foreign Modbus party on libmodbus, for the tests of this folder.
 *
 *   foreign serve tcp PORT            a slave over TCP on 127.0.0.1
 *   foreign serve rtu DEVICE BAUD UNIT
 *   foreign ask tcp PORT              a master: every function once
 *
 * The slave holds 200 of each: coil i = i odd, discrete i = i % 3 == 0, holding i = 1000 + i, input i = 2000 + i.
 * The master expects holding 0 and 1 writable, coil 0 writable, and prints one line a function. Apache-2.0. */
#include <errno.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PLACES = 200 };

static int die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
  return 1;
}

static void fill(modbus_mapping_t *map) {
  for (int i = 0; i < PLACES; i++) {
    map->tab_bits[i] = i % 2;
    map->tab_input_bits[i] = i % 3 == 0;
    map->tab_registers[i] = 1000 + i;
    map->tab_input_registers[i] = 2000 + i;
  }
}

/* Answers until the connection ends. */
static void answer(modbus_t *ctx, modbus_mapping_t *map, int forever) {
  uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
  for (;;) {
    int length = modbus_receive(ctx, query);
    if (length > 0) modbus_reply(ctx, query, length, map);
    else if (length < 0 && !forever) return;
    else if (length < 0 && errno == EIO) return;
  }
}

static int serve(int argc, char **argv) {
  int is_tcp = strcmp(argv[2], "tcp") == 0;
  modbus_t *ctx = is_tcp ? modbus_new_tcp("127.0.0.1", atoi(argv[3])) : modbus_new_rtu(argv[3], atoi(argv[4]), 'N', 8, 1);
  modbus_mapping_t *map = modbus_mapping_new(PLACES, PLACES, PLACES, PLACES);
  if (!ctx || !map) return die("new");
  fill(map);
  if (!is_tcp) {
    if (argc < 6 || modbus_set_slave(ctx, atoi(argv[5])) < 0 || modbus_connect(ctx) < 0) return die("connect");
    printf("ready\n");
    fflush(stdout);
    answer(ctx, map, 1);
    return 0;
  }
  int listener = modbus_tcp_listen(ctx, 1);
  if (listener < 0) return die("listen");
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    if (modbus_tcp_accept(ctx, &listener) < 0) return die("accept");
    answer(ctx, map, 0);
    modbus_close(ctx);
  }
}

static void words(const char *what, int got, const uint16_t *values, int count) {
  printf("%s", what);
  if (got < 0) printf(" refused: %s", modbus_strerror(errno));
  for (int i = 0; got >= 0 && i < count; i++) printf(" %u", values[i]);
  printf("\n");
}

static void bits(const char *what, int got, const uint8_t *values, int count) {
  uint16_t wide[8] = {0};
  for (int i = 0; i < count; i++) wide[i] = values[i];
  words(what, got, wide, count);
}

static int ask(char **argv) {
  modbus_t *ctx = modbus_new_tcp("127.0.0.1", atoi(argv[3]));
  uint8_t b[8] = {1, 0};
  uint16_t w[8] = {7, 8};
  uint8_t raw[] = {1, 0x2b, 0x0e, 1, 0};
  uint8_t reply[MODBUS_TCP_MAX_ADU_LENGTH];
  if (!ctx || modbus_set_slave(ctx, 1) < 0 || modbus_connect(ctx) < 0) return die("connect");
  words("6", modbus_write_register(ctx, 0, 500), w, 0);
  words("16", modbus_write_registers(ctx, 0, 2, w), w, 0);
  words("22", modbus_mask_write_register(ctx, 0, 0xfff0, 0x0005), w, 0);
  words("3", modbus_read_registers(ctx, 0, 2, w), w, 2);
  w[0] = 21;
  w[1] = 22;
  uint16_t back[2];
  words("23", modbus_write_and_read_registers(ctx, 0, 2, w, 0, 2, back), back, 2);
  words("4", modbus_read_input_registers(ctx, 0, 2, w), w, 2);
  words("5", modbus_write_bit(ctx, 0, 0), w, 0);
  words("15", modbus_write_bits(ctx, 0, 1, b), w, 0);
  bits("1", modbus_read_bits(ctx, 0, 2, b), b, 2);
  bits("2", modbus_read_input_bits(ctx, 0, 2, b), b, 2);
  words("beyond", modbus_read_registers(ctx, 60000, 2, w), w, 2);
  /* libmodbus does not know how long this answer is: it is taken from the socket. Header 7, function, kind, category,
   * conformity, more, next, count, then the first object's id, length and text. */
  modbus_send_raw_request(ctx, raw, sizeof raw);
  struct pollfd ready = {.fd = modbus_get_socket(ctx), .events = POLLIN};
  poll(&ready, 1, 2000);
  ssize_t length = recv(modbus_get_socket(ctx), reply, sizeof reply, 0);
  printf("43 %.*s\n", length > 16 ? reply[15] : 0, (char *)reply + 16);
  modbus_close(ctx);
  modbus_free(ctx);
  return 0;
}

int main(int argc, char **argv) {
  if (argc >= 4 && strcmp(argv[1], "serve") == 0) return serve(argc, argv);
  if (argc >= 4 && strcmp(argv[1], "ask") == 0) return ask(argv);
  fprintf(stderr, "usage: foreign serve tcp PORT | serve rtu DEVICE BAUD UNIT | ask tcp PORT\n");
  return 2;
}
