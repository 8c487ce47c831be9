/* Prints what is sent to a unix datagram socket, as systemd would read it: a line for each line of a datagram. A file
   descriptor that comes along is closed unseen, which is what systemd-notify waits for. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char text[4096];
  ssize_t length;
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[1]);
  int taken = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (taken < 0 || bind(taken, (struct sockaddr *)&address, sizeof address) < 0) {
    perror(argv[1]);
    return 1;
  }
  while ((length = recv(taken, text, sizeof text, 0)) >= 0) {
    fwrite(text, 1, length, stdout);
    putchar('\n');
    fflush(stdout);
  }
  return 1;
}
